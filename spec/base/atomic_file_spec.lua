local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

-- Whatever the core writes as a whole: a function of a path that writes about `size` numbers there.
local WRITERS = {
  file_write = [[function(path, size) core.file_write(path, ("x"):rep(size * 4)) end]],
  image_save = [[function(path, size) core.image_save(path, core.rand(3, size // 30, 10)) end]],
  safetensors_write = [[function(path, size) core.safetensors_write(path, "{}", { core.zeros(size) }) end]],
  onnx_write = [[function(path, size)
    local model = core.onnx { ir_version = 8, opset = 13, producer = "spec", version = "1", name = "graph" }
    model:initializer("x", core.zeros(size))
    model:write(path)
  end]],
}

for name, writer in pairs(WRITERS) do
  describe("a file that " .. name .. " writes", function()
    local folder, path
    before_each(function()
      folder = temporary.folder()
      path = files.join(folder, "file")
    end)
    after_each(function() files.remove(folder) end)

    -- Runs the writer in a process whose files may not grow beyond 64 KiB: what a full disk is like.
    local function write_limited(size)
      return child.run(([[
        local core = require "secateur.core"
        local write = %s
        print(pcall(write, %q, %d))
      ]]):format(writer, path, size), "ulimit -f 64; %s")
    end

    it("stays as it was when the new one cannot be written whole", function()
      files.write_all(path, "old contents")
      assert.matches("^false\t.*'" .. path:gsub("%p", "%%%0") .. "': File too large\n$", write_limited(300000))
      assert.equal("old contents", files.read_all(path))
      assert.same({ "file" }, files.list(folder))
    end)

    it("does not appear when it cannot be written whole", function()
      assert.matches("File too large", write_limited(300000))
      assert.same({}, files.list(folder))
    end)

    it("takes the place of the old one, and its permissions", function()
      files.write_all(path, "old contents")
      assert(os.execute(("chmod 600 '%s'"):format(path)))
      assert.equal("true\n", write_limited(300))
      assert.are_not.equal("old contents", files.read_all(path))
      assert.same({ "file" }, files.list(folder))
      assert(os.execute(("test \"$(stat -c %%a '%s')\" = 600"):format(path)))
    end)

    it("replaces no folder and no device", function()
      local write = assert(load("local core = ... return " .. writer))(core)
      assert.matches("'" .. folder:gsub("%p", "%%%0") .. "': expected a regular file to replace, got a directory",
        errors.text(write, folder, 300))
      assert.matches("'/dev/full': expected a regular file to replace, got a pipe or device",
        errors.text(write, "/dev/full", 300))
      assert.same({}, files.list(folder))
    end)
  end)
end

describe("temporary files", function()
  local folder, path
  before_each(function()
    folder = temporary.folder()
    path = files.join(folder, "file")
  end)
  after_each(function() files.remove(folder) end)

  it("that nobody writes to any more are removed by the next writer to the same name", function()
    for slot = 0, 15 do temporary.write(folder, ("file.%d.tmp"):format(slot), "cut sh") end
    temporary.write(folder, "file2.0.tmp", "of another")
    core.file_write(path, "whole")
    assert.same({ "file", "file2.0.tmp" }, files.list(folder))
    assert.equal("whole", files.read_all(path))
  end)

  it("of a file that may only be read are removed too", function()
    assert(os.execute(("chmod 400 '%s'"):format(temporary.write(folder, "file.3.tmp", "cut sh"))))
    core.file_write(path, "whole")
    assert.same({ "file" }, files.list(folder))
  end)

  it("of a killed process are removed by the next writer", function()
    for _ = 1, 8 do
      local pipe, finish = child.start(([[
        local core = require "secateur.core"
        local content = ("x"):rep(1 << 20)
        core.file_write(%q, content)
        io.stdout:write "written\n"
        io.stdout:flush()
        while true do core.file_write(%q, content) end
      ]]):format(path, path), "echo $$; %s")
      local process = pipe:read "l"
      assert.equal("written", pipe:read "l")
      assert(os.execute("kill -9 " .. process))
      finish()
      core.file_write(path, "whole")
      assert.same({ "file" }, files.list(folder))
      assert.equal("whole", files.read_all(path))
    end
  end)

  it("of processes that are still writing are left to them", function()
    local script = ([[
      local core = require "secateur.core"
      for i = 1, 100 do core.file_write(%q, ("x"):rep(10000)) end
      print "done"
    ]]):format(path)
    local pipe, finish = child.start(script)
    for _ = 1, 100 do core.file_write(path, ("y"):rep(10000)) end
    assert.equal("done\n", pipe:read "a")
    assert.is_true(finish())
    assert.same({ "file" }, files.list(folder))
    assert.matches("^[xy]+$", files.read_all(path))
  end)

  it("that are links or pipes are neither followed nor waited on", function()
    local other = temporary.write(folder, "other", "kept")
    assert(os.execute(("ln -s other '%s.0.tmp' && mkfifo '%s.1.tmp' && mkdir '%s.2.tmp'"):format(path, path, path)))
    core.file_write(path, "whole")
    assert.equal("kept", files.read_all(other))
    assert.same({ "file", "file.0.tmp", "file.1.tmp", "file.2.tmp", "other" }, files.list(folder))
  end)

  it("may be in use, all of them", function()
    for slot = 0, 15 do assert(files.mkdir_p(("%s.%d.tmp"):format(path, slot))) end
    assert.equal(("'%s': its 16 temporary files ('%s.0.tmp' and so on) are all in use, or left behind where the file "
      .. "system has no locks: remove them"):format(path, path), errors.text(core.file_write, path, "x"))
    assert.equal(16, #files.list(folder))
  end)
end)

describe("core.file_try", function()
  it("says what file_write would, and changes nothing", function()
    local folder = temporary.folder()
    finally(function() files.remove(folder) end)
    local path = temporary.write(folder, "file", "kept")
    core.file_try(path)
    core.file_try(files.join(folder, "new"))
    assert.same({ "file" }, files.list(folder))
    assert.equal("kept", files.read_all(path))
    assert.matches("none/x': No such file", errors.text(core.file_try, files.join(folder, "none/x")))
  end)
end)
