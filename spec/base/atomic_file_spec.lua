local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

-- Whatever the core writes as a whole: a function of a path that writes about `size` numbers there.
local WRITERS = {
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
      ]]):format(writer, path, size), "trap '' XFSZ; ulimit -f 64; %s")
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
