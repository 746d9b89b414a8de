local child = require "support.child"
local files = require "secateur.util.files"
local staging = require "secateur.util.staging"
local temporary = require "support.temporary"

describe("stages", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("move what is in them to its place, over what is there, and go", function()
    temporary.write(folder, "a.txt", "old")
    temporary.write(folder, "sub/kept", "kept")
    local stage = assert(staging.create(folder, "work"))
    assert.equal(files.join(folder, stage.name), stage.path)
    for path, content in pairs { ["a.txt"] = "new", ["sub/b"] = "b", [".c"] = "c" } do
      temporary.write(stage.path, path, content)
    end
    assert.is_true(stage:publish "a.txt")
    stage:remove()
    assert.same({ ".c", "a.txt", "sub/b", "sub/kept" }, files.walk(folder, { hidden = true }))
    assert.equal("new", files.read_all(files.join(folder, "a.txt")))
  end)

  it("move nothing where something is in the way", function()
    temporary.write(folder, "b/c", "")
    local stage = assert(staging.create(folder, "work"))
    temporary.write(stage.path, "a", "new")
    temporary.write(stage.path, "b", "new")
    local good, message = stage:publish()
    assert.is_nil(good)
    assert.equal(folder .. "/b: expected a file to write, got a folder", message)
    stage:remove()
    assert.same({ "b/c" }, files.walk(folder, { hidden = true }))
  end)

  it("put the last file last", function()
    local stage = assert(staging.create(folder, "work"))
    for _, name in ipairs { "a", "b", "c", "sub/d" } do temporary.write(stage.path, name, "") end
    local real, order = os.rename, {}
    os.rename = function(from, to) -- luacheck: ignore 122
      order[#order + 1] = files.base(to)
      return real(from, to)
    end
    local ok, problem = pcall(stage.publish, stage, "b")
    os.rename = real -- luacheck: ignore 122
    assert(ok, problem)
    stage:remove()
    assert.same({ "a", "c", "d", "b" }, order)
  end)

  it("never use a folder or a link that is there", function()
    temporary.write(folder, "elsewhere/x", "kept")
    assert(require("lfs").link("elsewhere", files.join(folder, ".work.1.part"), true))
    temporary.write(folder, ".work.2.part/x", "somebody's")
    local stage = assert(staging.create(folder, "work"))
    assert.equal(".work.3.part", stage.name)
    stage:remove()
    assert.same({ "x" }, files.list(files.join(folder, "elsewhere")))
    assert.same({ "x" }, files.list(files.join(folder, ".work.2.part")))
  end)

  it("of a killed process are removed, those of a living one stay", function()
    local lock = temporary.write(folder, ".work.1.part/lock", "")
    temporary.write(folder, ".work.2.part/lock", "")
    -- Another process holds the first lock until the pipe ends.
    local gate = files.join(folder, "gate")
    assert(os.execute(("mkfifo '%s'"):format(gate)))
    local holder, finish = child.start(([[
      local file = assert(io.open(%q, "r+b"))
      assert(require("lfs").lock(file, "w"))
      print "held"
      io.stdout:flush()
      io.open(%q):read "a"
    ]]):format(lock, gate))
    assert.equal("held", holder:read "l")
    local stage = assert(staging.create(folder, "work"))
    assert.equal(".work.2.part", stage.name)
    stage:remove()
    assert.is_true(files.is_dir(files.join(folder, ".work.1.part")))
    io.open(gate, "w"):close()
    assert.is_true(finish())
    stage = assert(staging.create(folder, "work"))
    assert.equal(".work.1.part", stage.name)
    stage:remove()
    assert.same({ "gate" }, files.list(folder, { hidden = true }))
  end)

  it("say where no folder can be made", function()
    local stage, message = staging.create(files.join(folder, "none"), "work")
    assert.is_nil(stage)
    assert.equal(folder .. "/none: No such file or directory", message)
  end)

  it("reword messages", function()
    local stage = assert(staging.create(folder, "work"))
    assert.equal(("x %s/a, %s/b"):format(folder, folder), stage:reword(("x %s/a, %s/b"):format(stage.path, stage.path)))
    stage:remove()
  end)
end)
