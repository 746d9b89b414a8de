local child = require "support.child"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

-- What users write, as a chunk that has `sc`, `model`, `data` and `path`.
local WRITERS = {
  ["model:save"] = "model:save(path)",
  ["model:export_onnx"] = "model:export_onnx(path)",
  ["model:export_state"] = "model:export_state(path)",
  ["save_npz"] = "sc.save_npz(path, { x = require 'secateur.core'.rand(1000) })",
  ["a table"] = [[assert(require "secateur.util.csv".write(path, { { ("x"):rep(10000) } }))]],
  ["a text"] = [[assert(require "secateur.util.files".write_all(path, ("x"):rep(10000)))]],
  ["an image"] = "require 'secateur.core'.image_save(path, require 'secateur.core'.rand(3, 64, 64))",
  ["a training's checkpoint"] = "sc.train(model, data, { epochs = 1, checkpoint = path, quiet = true })",
}

local ENDINGS = { ["model:export_onnx"] = ".onnx", ["save_npz"] = ".npz", ["an image"] = ".png", ["a table"] = ".csv",
  ["a text"] = ".txt" }

-- A limit on the size of files is what a full disk is like, without a disk to fill; beyond it the system sends a signal
-- that ends who does not expect it.
describe("with files that may not grow", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() assert(files.remove(folder)) end)

  for name, writer in pairs(WRITERS) do
    it(name .. " is an error that names the file, and leaves what was there", function()
      local path = folder .. "/file" .. (ENDINGS[name] or ".safetensors")
      local function write()
        return child.try(([[
          local sc = require "secateur"
          local data = sc.data.phantom { size = 16, count = 24, classes = { "normal", "effusion" }, quiet = true }
          local model = sc.models.vgg { config = { 8, "M" }, hidden = { 16 }, pool = 2, size = 16, classes = 2 }
          local path = %q
          local good, message = pcall(function() %s end)
          print("good", good)
          print(message)
        ]]):format(path, writer), "ulimit -f 1; %s")
      end
      for _, old in ipairs { false, "old contents" } do
        if old then temporary.write(folder, files.base(path), old) end
        local ended, text = write()
        assert.is_true(ended, text)
        assert.matches("good\tfalse\n", text, 1, true)
        assert.matches(path, text, 1, true)
        assert.matches("File too large", text, 1, true)
        assert.same({ old and files.base(path) or nil }, files.list(folder, { hidden = true }))
        if old then assert.equal(old, files.read_all(path)) end
      end
    end)
  end
end)
