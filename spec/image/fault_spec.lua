-- What the machine refuses (descriptors, memory, rights) and files that are gone say nothing of an image: they are
-- errors wherever images are read, and never a bad image among others.
local child = require "support.child"
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local needs = require "support.needs"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

describe("the machine's failures while images are read", function()
  local root

  before_each(function()
    root = temporary.folder()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 8 do pictures.save(root, ("%s/%02d.png"):format(class, i), i / 11) end
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  -- The source of all files, the second of which is bad by its bytes.
  local function source_of()
    local paths = {}
    for i = 1, 8 do paths[i] = ("%s/a/%02d.png"):format(root, i) end
    assert(files.write_all(paths[2], "no picture"))
    return core.image_source { kind = "files", paths = paths, cache_bytes = 0 }, paths
  end

  it("are errors where a file is gone after it was found", function()
    local source, paths = source_of()
    assert.same({ 2 }, { source:check()[1].index })
    assert.equal(1, #source:check())
    assert(os.remove(paths[5]))
    local gone = "'" .. paths[5] .. "': No such file or directory"
    local all = { 1, 2, 3, 4, 5, 6, 7, 8 }
    assert.has_error(function() source:batch(all, { size = 4 }) end, gone)
    assert.has_error(function() source:digests() end, gone)
    assert.has_error(function() source:extents(all) end, gone)
    assert.has_error(function() source:content(5, { size = 4 }) end, gone)
    assert.has_error(function() source:pixels(5) end, "pixels: " .. gone)
    -- At the scan it is a listed file that is not there.
    assert.same({ { index = 2, message = "'" .. paths[2] .. "': not a PNG, JPEG, BMP, TIFF, WebP or DICOM file" },
      { index = 5, message = gone } }, source:check())
  end)

  it("are errors where something else lies there now", function()
    local source, paths = source_of()
    assert(os.remove(paths[5]))
    assert(files.mkdir_p(paths[5]))
    local message = "'" .. paths[5] .. "': expected a regular file, got a directory"
    assert.has_error(function() source:batch({ 4, 5 }, { size = 4 }) end, message)
    assert.equal(message, source:check()[2].message)
  end)

  it("end a loader for good, whatever its workers and batches", function()
    local source, paths = source_of()
    assert(os.remove(paths[5]))
    local gone = "'" .. paths[5] .. "': No such file or directory"
    for _, workers in ipairs { 1, 4 } do
      for _, batch in ipairs { 1, 2, 8 } do
        local loader <close> = core.image_loader(source, { indices = { 1, 2, 3, 4, 5, 6, 7, 8 }, batch = batch,
          size = 4, workers = workers, prefetch = 2 })
        local function drain()
          repeat local x = loader:next() until not x
        end
        assert.has_error(drain, gone)
        assert.has_error(drain, gone)
      end
    end
  end)

  it("end the batches of a data set, which skips none for them", function()
    for _, on_error in ipairs { "skip", "stop" } do
      local set = data.folder(root, { size = 8, quiet = true, on_error = on_error, cache_bytes = 0 })
      local path = set.train.paths[3]
      local content = assert(files.read_all(path))
      assert(os.remove(path))
      local function all()
        for _ in set.train:batches { batch = 2 } do end -- luacheck: ignore 542
      end
      assert.has_error(all, ("batches: '%s': No such file or directory"):format(path))
      assert.has_error(function() set.train:read { 3 } end, ("read: '%s': No such file or directory"):format(path))
      assert.same({}, set.skipped)
      assert(files.write_all(path, content))
    end
  end)

  it("are errors where descriptors run out", function()
    needs.native(pending, "a limit on descriptors")
    source_of()
    local output = child.run(([[
      local core, data = require "secateur.core", require "secateur.data"
      local equal_files = require "secateur.data.equal_files"
      local root = %q
      local set = data.folder(root, { size = 8, quiet = true, cache_bytes = 0, on_duplicate = "ignore" })
      local paths = set.train.paths
      local source = core.image_source { kind = "files", paths = paths, cache_bytes = 0 }
      local held = {}
      collectgarbage "stop"
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        held[#held + 1] = file
      end
      local function try(...)
        local ok, message = pcall(...)
        print(ok, (tostring(message):gsub("'[^']+'", "FILE"):gsub(root, "ROOT")))
      end
      try(function() return source:check() end)
      try(function() return source:batch({ 1, 2 }, { size = 4 }) end)
      try(function() return source:digests() end)
      try(function() return source:extents { 1 } end)
      try(core.image_info, paths[1])
      try(core.image_load, paths[1])
      try(core.dicom_identifiers, paths[1])
      try(function() for _ in set.train:batches { workers = 4 } do end end)
      try(equal_files.sets, { paths[1], paths[1] })
      print(#set.skipped)
    ]]):format(root), "ulimit -n 48; %s")
    local expected = {}
    for i, who in ipairs { "", "", "", "", "", "image_load: ", "", "batches: " } do
      expected[i] = ("false\t%sFILE: Too many open files"):format(who)
    end
    local found = {}
    for line in output:gmatch "[^\n]+" do found[#found + 1] = line end
    for i = 1, 8 do assert.equal(expected[i], (found[i]:gsub("%S+:%d+: ", ""))) end
    assert.matches("^false\t.-ROOT.-Too many open files", found[9])
    assert.equal("1", (output:match "(%d+)%s*$"))
  end)

  it("are errors where memory runs out", function()
    needs.address_limit(pending)
    -- 1200 x 1200 pixels: too many for blocks that were freed before
    core.image_save(root .. "/a/09.png", core.zeros(3, 1200, 1200))
    local output = child.run(([[
      local core = require "secateur.core"
      core.threads(1)
      local paths = { "%s/a/01.png", "%s/a/09.png" }
      for _, name in ipairs { "grey8.tif", "lossy.webp", "ct_explicit.dcm" } do
        local path = "spec/fixtures/clinic/" .. name
        if core.image_info(path) then paths[#paths + 1] = path end
      end
      local source = core.image_source { kind = "files", paths = paths, cache_bytes = 0 }
      for i = 1, #paths do
        if i ~= 2 then source:batch({ i }, { size = 4 }) end
      end
      local size = io.open "/proc/self/status":read "a":match "VmSize:%%s*(%%d+)"
      local process = io.open "/proc/self/stat":read "n"
      assert(os.execute(("prlimit --pid %%d --as=%%d"):format(process, size * 1024)))
      for i = 2, #paths do
        local ok, message = pcall(source.batch, source, { i }, { size = 4 })
        print(ok, ok and "" or message)
      end
    ]]):format(root, root), "ulimit -c 0; %s")
    local count = 0
    for line in output:gmatch "[^\n]+" do
      count = count + 1
      assert.matches("^false\t.*'[^']+': .*memory", line)
    end
    assert.is_true(count >= 1)
  end)

  it("are errors where a file must not be read", function()
    local source, paths = source_of()
    os.execute("chmod 000 " .. paths[5])
    if io.open(paths[5], "rb") then
      os.execute("chmod 644 " .. paths[5])
      pending "this user may read everything (root)"
    end
    local denied = "'" .. paths[5] .. "': Permission denied"
    assert.has_error(function() source:check() end, denied)
    assert.has_error(function() source:batch({ 1, 5 }, { size = 4 }) end, denied)
    assert.has_error(function() core.image_info(paths[5]) end, denied)
    os.execute("chmod 644 " .. paths[5])
  end)
end)
