local errors = require "support.errors"
local files = require "secateur.util.files"
local sc = require "secateur"
local temporary = require "support.temporary"

describe("a file's name that promises another format", function()
  local folder, model
  setup(function()
    folder = temporary.folder()
    model = sc.model { input = { 3 }, build = function(net, x) return net:linear("l", x, { out = 2 }) end }
  end)
  teardown(function() files.remove(folder) end)

  it("is refused, and nothing is written", function()
    for call, case in pairs {
      save = { "model:save", "q.pth", "safetensors", "PyTorch", function(path) model:save(path) end },
      export_state = { "state", "q.PT", "safetensors", "PyTorch", function(path) model:export_state(path) end },
      export_onnx = { "onnx", "q.safetensors", "ONNX", "safetensors", function(path) model:export_onnx(path) end },
      ["safetensors.save"] = { "", "q.onnx", "safetensors", "ONNX", function(path) sc.safetensors.save(path, {}) end },
    } do
      local path = files.join(folder, case[2])
      local wanted = "%s: path: expected a name for a %s file, which this is, got '%s': '.%s' is %s's ending"
      local _, message = pcall(case[5], path)
      assert.equal(wanted:format(call, case[3], path, files.extension(path), case[4]), errors.bare(message))
      assert.is_false(files.is_file(path))
    end
    local good, expected = require "secateur.util.file_kind".rule "safetensors" "a.pth"
    assert.same({ false, "a name for a safetensors file" }, { good, expected })
  end)

  it("is none where the ending is its own, or promises nothing", function()
    for _, name in ipairs { "a.safetensors", "a.state", "a", "a.v1.5" } do
      model:save(files.join(folder, name))
      assert.equal(2, sc.load(files.join(folder, name)).class_count)
    end
    model:export_onnx(files.join(folder, "a.onnx"))
  end)
end)
