local core = require "secateur.core"
local files = require "secateur.util.files"
local lfs = require "lfs"
local needs = require "support.needs"
local temporary = require "support.temporary"

describe("util.files", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  it("joins, splits and classifies paths", function()
    assert.equal("a/b/c", files.join("a", "b", "c"))
    assert.equal("a/b", files.join("a/", "b"))
    assert.equal("/b", files.join("a", "/b"))
    assert.equal("b", files.join("", "b"))
    assert.equal("a", files.join("a", ""))
    assert.equal("c.png", files.base("a/b/c.png"))
    assert.equal("b", files.base("a/b//"))
    assert.equal("/", files.base("/"))
    assert.equal("a/b", files.directory("a/b/c.png"))
    assert.equal(".", files.directory("c.png"))
    assert.equal("/", files.directory("/c.png"))
    assert.equal("a", files.directory("a/b/"))
    assert.equal("jpeg", files.extension("a.b/c.d.JPEG"))
    assert.equal("", files.extension("a.b/c"))
    assert.equal("", files.extension("a/.hidden"))
  end)

  it("lists in byte order, without hidden names", function()
    for _, name in ipairs { "b", "B", "a10", "a9", ".hidden", "\195\164" } do temporary.write(root, name, "") end
    assert.same({ "B", "a10", "a9", "b", "\195\164" }, files.list(root))
    assert.same({ ".hidden", "B", "a10", "a9", "b", "\195\164" }, files.list(root, { hidden = true }))
  end)

  it("sorts by bytes whatever the locale", function()
    local expected = { "", "B", "a", "a10", "a9", "b", "\195\164" }
    local shuffled = { "b", "a9", "\195\164", "a", "", "B", "a10" }
    local ask = os.setlocale
    finally(function() os.setlocale = ask end) -- luacheck: ignore 122
    os.setlocale = function() return "de_DE.UTF-8" end -- luacheck: ignore 122
    assert.same(expected, files.sort(shuffled))
  end)

  it("says which folder cannot be listed", function()
    local names, message = files.list(root .. "/none")
    assert.is_nil(names)
    assert.equal(root .. "/none: No such file or directory", message)
    assert.same({ nil, root .. "/none: no such folder" }, { files.walk(root .. "/none") })
  end)

  it("gives no shorter list where the system fails half-way", function()
    needs.proc(pending)
    -- A process that has ended, and that its parent does not ask for, has a folder that opens and cannot be read.
    assert(os.execute(("mkfifo '%s/go'"):format(root)))
    local parent = assert(io.popen(("read go <'%s/go' & echo $! $$ >'%s/pid'; exec cat >'%s/none'"):format(root, root,
      root), "w"))
    finally(function() parent:close() end)
    local process, above, state
    repeat process, above = (files.read_all(root .. "/pid") or ""):match "^(%d+) (%d+)\n" until process
    repeat until assert(files.read_all(("/proc/%s/comm"):format(above))) == "cat\n" -- a shell would ask for it
    local go = assert(io.open(root .. "/go", "w"))
    go:write "\n"
    go:close()
    process = "/proc/" .. process
    repeat state = assert(files.read_all(process .. "/stat")):match "^.*%) (%a)" until state == "Z"
    if files.mode(process .. "/net") ~= "directory" then pending "no such folder on this system" end
    assert.same({ nil, process .. "/net: Invalid argument" }, { files.list(process .. "/net") })
  end)

  it("walks nested folders and picks extensions", function()
    for _, name in ipairs { "b/2.PNG", "b/c/1.png", "a.jpg", "b.txt", ".x/1.png", "b/.1.png" } do
      temporary.write(root, name, "")
    end
    assert.same({ "a.jpg", "b.txt", "b/2.PNG", "b/c/1.png" }, files.walk(root))
    assert.same({ "b/2.PNG", "b/c/1.png" }, files.walk(root, { extensions = { png = true } }))
    assert.equal(6, #files.walk(root, { hidden = true }))
  end)

  it("follows links, but meets each file and folder once", function()
    temporary.write(root, "d/1.png", "")
    temporary.write(root, "d/e/2.png", "")
    local other = temporary.folder()
    finally(function() files.remove(other) end)
    temporary.write(other, "3.png", "")
    for name, target in pairs { ["d/up"] = "..", a = "d", ["b.png"] = "d/1.png", ["d/z"] = other, c = other } do
      assert(lfs.link(target, root .. "/" .. name, true))
    end
    assert(lfs.link(root .. "/d/1.png", root .. "/d/hard.png"))
    local again = {}
    local function note(path, first, kind) again[#again + 1] = ("%s %s = %s"):format(kind, path, first) end
    local found, about = files.walk(root, { again = note })
    assert.same({ "c/3.png", "d/1.png", "d/e/2.png" }, found)
    assert.same({ "file d/hard.png = d/1.png", "folder a = d", "file b.png = d/1.png", "folder d/z = c" }, again)
    assert.equal(files.identity(root .. "/b.png"), about["d/1.png"].identity)
    assert.is_true(about["c/3.png"].linked)
    assert.is_false(about["d/1.png"].linked)
    assert.same({ "b.png", "c/3.png", "d/1.png", "d/e/2.png", "d/hard.png" }, files.walk(root, { names = true }))
  end)

  it("walks a farm of links in linear time", function()
    for i = 1, 40 do
      temporary.write(root, ("d%d/1.png"):format(i), "")
      for j = 1, 40 do
        if i ~= j then assert(lfs.link(("../d%d"):format(j), ("%s/d%d/l%d"):format(root, i, j), true)) end
      end
    end
    local list, listed = files.list, 0
    finally(function() files.list = list end)
    files.list = function(...)
      listed = listed + 1
      return list(...)
    end
    assert.equal(40, #files.walk(root))
    assert.equal(41, listed)
  end)

  it("ends a walk at what it may not see, and names it", function()
    needs.user(pending)
    temporary.write(root, "a/1.png", "")
    temporary.write(root, "b/c/1.png", "")
    assert(os.execute(("chmod 600 '%s/b'"):format(root)))
    finally(function() os.execute(("chmod 700 '%s/b'"):format(root)) end)
    local found, message = files.walk(root)
    assert.is_nil(found)
    assert.equal(("cannot obtain information from file '%s/b/c': Permission denied"):format(root), message)
    assert.same({ nil, message }, { files.mode(root .. "/b/c") })
    assert.same({ nil, message }, { files.remove(root .. "/b/c") })
    assert.is_nil(files.mode(root .. "/none/x"))
  end)

  it("has one form for a path", function()
    for path, normal in pairs { ["a.png"] = "a.png", ["./a.png"] = "a.png", ["sub/../a.png"] = "a.png",
      ["a//b/./c/"] = "a/b/c",
      ["."] = ".", ["a/.."] = ".", [""] = ".", ["a/../../b"] = "../b", [".."] = "..", ["../../x"] = "../../x",
      ["/a/../.."] = "/", ["//etc//passwd"] = "/etc/passwd", ["/../x"] = "/x", ["..a/...b"] = "..a/...b" } do
      local got, leaves = files.normal(path)
      assert.equal(normal, got)
      assert.equal(normal:find "^/" ~= nil or normal == ".." or normal:find "^%.%./" ~= nil, leaves)
    end
  end)

  it("passes over what it is told to, and tells what is no file", function()
    for _, name in ipairs { "a/1.png", "a/Thumbs.db", "b/2.png" } do temporary.write(root, name, "") end
    assert(lfs.link("gone", root .. "/a/broken", true))
    assert(lfs.link(root, root .. "/a/up", true))
    local others = {}
    local found = files.walk(root, {
      leave = function(name, path, mode) return name == "Thumbs.db" or path == "b" and mode == "directory" end,
      other = function(path, message) others[#others + 1] = path .. ": " .. message end,
    })
    assert.same({ "a/1.png" }, found)
    assert.same({ "a/broken: a broken link to 'gone'", "a/up: a link to a folder that it lies in" }, others)
  end)

  it("sorts numbers in names as numbers", function()
    local sorted = { "", "0", "1", "01", "1a", "2", "9", "10", "99999999999999999999", "100000000000000000000", "A2",
      "a", "a1", "a2b1", "a2b10", "a02b10", "a10", "b" }
    local shuffled = {}
    for i, k in ipairs(core.permutation(#sorted, 3)) do shuffled[k] = sorted[i] end
    assert.same(sorted, files.sort_natural(shuffled))
    assert.same({ "a", "a", "b" }, files.sort_natural { "b", "a", "a" })
  end)

  it("refuses absurdly deep folders", function()
    local deep = root
    for _ = 1, 70 do
      deep = deep .. "/d"
      assert(lfs.mkdir(deep))
    end
    local found, message = files.walk(root)
    assert.is_nil(found)
    assert.matches("^/.*/d: folders nested more than 64 deep$", message)
  end)

  it("makes folders with those above", function()
    assert.is_true(files.mkdir_p(root .. "/x/y/z"))
    assert.is_true(files.is_dir(root .. "/x/y/z"))
    assert.is_true(files.mkdir_p(root .. "/x/y/z"))
    temporary.write(root, "file", "")
    local ok, message = files.mkdir_p(root .. "/file/below")
    assert.is_nil(ok)
    assert.matches("^" .. root:gsub("%p", "%%%0") .. "/file: File exists$", message)
  end)

  it("reads whole files up to a limit", function()
    local path = temporary.write(root, "f", "12345\0\r\n")
    assert.equal("12345\0\r\n", files.read_all(path))
    assert.equal("12345\0\r\n", files.read_all(path, 8))
    assert.same({ nil, path .. ": larger than 7 bytes" }, { files.read_all(path, 7) })
    assert.equal("", files.read_all(temporary.write(root, "empty", "")))
    assert.equal("", files.read_all(root .. "/empty", 10))
    assert.same({ nil, root .. ": expected a file, got a folder" }, { files.read_all(root) })
    local content, message = files.read_all(root .. "/none")
    assert.is_nil(content)
    assert.equal(root .. "/none: No such file or directory", message)
  end)

  it("replaces a file whole, and leaves nothing behind where it cannot", function()
    local path = root .. "/f"
    assert.is_true(files.write_all(path, "one"))
    assert.is_true(files.write_all(path, "two"))
    assert.equal("two", files.read_all(path))
    assert.same({ "f" }, files.list(root))
    local ok, message = files.write_all(root .. "/none/f", "x")
    assert.is_nil(ok)
    assert.equal(root .. "/none/f: No such file or directory", message)
    assert(lfs.mkdir(root .. "/taken"))
    ok, message = files.write_all(root .. "/taken", "x")
    assert.is_nil(ok)
    assert.equal(root .. "/taken: expected a regular file to replace, got a directory", message)
    assert.same({ "f", "taken" }, files.list(root))
    ok, message = files.write_all(root .. "/a\0b", "x")
    assert.is_nil(ok)
    assert.matches("zero byte", message)
  end)

  it("writes through no link", function()
    local other = temporary.write(root, "other/kept", "kept")
    for _, name in ipairs { "f", "f.part", "f.0.tmp", "f.1.tmp" } do
      assert(lfs.link(other, root .. "/" .. name, true))
    end
    assert.is_true(files.write_all(root .. "/f", "new"))
    assert.equal("kept", files.read_all(other))
    assert.equal("new", files.read_all(root .. "/f"))
    assert.equal("file", lfs.symlinkattributes(root .. "/f", "mode"))
  end)

  it("removes trees, and links without what they point to", function()
    temporary.write(root, "keep/1", "x")
    temporary.write(root, "gone/.2", "x")
    assert(lfs.link(root .. "/keep", root .. "/gone/link", true))
    assert.is_true(files.remove(root .. "/gone"))
    assert.is_true(files.remove(root .. "/gone"))
    assert.same({ "keep" }, files.list(root))
    assert.is_true(files.is_file(root .. "/keep/1"))
  end)
end)
