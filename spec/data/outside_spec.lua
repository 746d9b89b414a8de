local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

-- A table is somebody else's: what it names lies below its folder, or is refused.
describe("data: files outside of the data set", function()
  local top, root

  before_each(function()
    top = temporary.folder()
    root = top .. "/set"
    for i = 1, 4 do pictures.save(root, i .. ".png", i / 5) end
    pictures.save(top, "outside/secret.png", 0.9)
    assert(files.mkdir_p(root .. "/sub"))
  end)
  after_each(function() assert(files.remove(top)) end)

  local lines = "file,label,split\n1.png,a,train\n2.png,b,train\n3.png,a,val\n4.png,b,test\n"

  local function write(name) return temporary.write(root, "split.csv", lines .. name .. ",a,train\n") end

  local outside = { "../outside/secret.png", "sub/../../outside/secret.png", "./..//outside/secret.png",
    "..\\outside\\secret.png", "/etc/passwd", "//etc//passwd", "/dev/zero", "/dev/stdin", "/proc/self/mem" }

  it("are refused by split.csv, whatever they are", function()
    for _, name in ipairs(outside) do
      local path = write(name)
      assert.equal(("folder: %s:6: file: expected one below the folder of the table, got '%s' (outside = true takes "
        .. "files from anywhere)"):format(path, name),
        errors.inside(function() data.folder(root, { size = 8, quiet = true }) end))
    end
  end)

  it("are refused by sc.data.csv, where there is such a file", function()
    for _, name in ipairs(outside) do
      local path = write(name)
      assert.equal(("csv: %s:6: column 'file': expected a file below %s, got '%s' (outside = true takes files from "
        .. "anywhere)"):format(path, root, name), errors.inside(function()
          data.csv(path, { size = 8, quiet = true })
        end))
    end
    local set = data.csv(write "/elsewhere/1.png", { size = 8, quiet = true })
    assert.same({ "/elsewhere/1.png" }, { set.skipped[1].path })
  end)

  it("are refused where links of the set lead to them", function()
    for name, target in pairs { ["link.png"] = "../outside/secret.png", ["passwd.png"] = "/etc/passwd",
      ["zero.png"] = "/dev/zero", ["sub/more"] = "../../outside" } do
      assert(lfs.link(target, root .. "/" .. name, true))
    end
    for name, target in pairs { ["link.png"] = files.real(top) .. "/outside/secret.png", ["passwd.png"] = "/etc/passwd",
      ["zero.png"] = "/dev/zero", ["sub/more/secret.png"] = files.real(top) .. "/outside/secret.png" } do
      local path = write(name)
      assert.equal(("folder: %s:6: file: expected one below the folder of the table, got '%s', a link to '%s' "
        .. "(outside = true takes files from anywhere)"):format(path, name, target),
        errors.inside(function() data.folder(root, { size = 8, quiet = true }) end))
      assert.matches("^csv: .*:6: column 'file': expected a file below ", errors.inside(function()
        data.csv(path, { size = 8, quiet = true })
      end))
    end
    write "sub/more/secret.png"
    assert.equal(3, data.folder(root, { size = 8, quiet = true, outside = true }).train:count())
  end)

  it("are taken where asked for", function()
    local path = write "../outside/secret.png"
    for _, set in ipairs { data.folder(root, { size = 8, quiet = true, outside = true }),
      data.csv(path, { size = 8, quiet = true, outside = true }) } do
      assert.same({ "1.png", "2.png", "../outside/secret.png" }, set.train.names)
    end
    path = write(top .. "/outside/./secret.png")
    for _, set in ipairs { data.folder(root, { size = 8, quiet = true, outside = true }),
      data.csv(path, { size = 8, quiet = true, outside = true }) } do
      assert.same({ "1.png", "2.png", top .. "/outside/secret.png" }, set.train.names)
    end
  end)

  it("are those below, where absolute paths of a table lead there", function()
    local path = temporary.write(root, "table.csv", (lines:gsub("(%d%.png)", root .. "/%1")))
    assert.same({ "1.png", "2.png" }, data.csv(path, { size = 8, quiet = true }).train.names)
  end)

  it("are no texts longer than any path", function()
    local path = write(("x/"):rep(100000) .. "1.png")
    assert.equal(("folder: %s:6: file: expected a file's name, got a text of 200005 bytes"):format(path),
      errors.inside(function() data.folder(root, { size = 8, quiet = true }) end))
    assert.equal(("csv: %s:6: column 'file': expected a file's name, got a text of 200005 bytes"):format(path),
      errors.inside(function() data.csv(path, { size = 8, quiet = true }) end))
  end)

  it("have one name", function()
    for _, name in ipairs { "./1.png", "sub/../1.png", ".//1.png" } do
      local path = write(name)
      assert.equal(("folder: %s:6: file '%s' is already in line 2"):format(path, name), errors.inside(function()
        data.folder(root, { size = 8, quiet = true })
      end))
      local set = data.csv(path, { size = 8, quiet = true })
      assert.same({ "1.png", "2.png" }, set.train.names)
    end
  end)
end)
