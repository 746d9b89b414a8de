local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local names = require "secateur.formats.parameter_names"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"

describe("exported parameters", function()
  local folder, path

  before_each(function() folder = temporary.folder(); path = files.join(folder, "state.safetensors") end)
  after_each(function() files.remove(folder) end)

  it("are a plain safetensors file of torch's kind", function()
    for name, model in pairs(families.all()) do
      model:export_state(path)
      local tensors, meta = safetensors.load(path)
      assert.same({ format = "pt" }, meta)
      local state = model:state()
      for parameter, tensor in pairs(state) do
        assert.same(tensor:shape(), tensors[parameter]:shape(), name)
        assert.equal(tensor:dtype(), tensors[parameter]:dtype())
        assert.same(tensor:totable(), tensors[parameter]:totable())
        if parameter:find "num_batches_tracked$" then
          assert.same({ "int64", 0 }, { tensor:dtype(), #tensor:shape() })
        end
      end
      for parameter in pairs(tensors) do assert.is_truthy(state[parameter]) end
    end
  end)

  it("have timm's names when told to, which are read back", function()
    local model = families.all().vit
    model:export_state(path, { names = "timm" })
    local tensors, found = safetensors.load(path), {}
    for name, tensor in pairs(tensors) do
      found[#found + 1] = name
      assert.same(tensor:totable(), model:state()[names.torchvision(name)]:totable())
    end
    table.sort(found)
    local expected = { "cls_token", "head.bias", "head.weight", "norm.bias", "norm.weight", "patch_embed.proj.bias",
      "patch_embed.proj.weight", "pos_embed" }
    for i = 0, 1 do
      for _, part in ipairs { "attn.proj", "attn.qkv", "mlp.fc1", "mlp.fc2", "norm1", "norm2" } do
        expected[#expected + 1] = ("blocks.%d.%s.weight"):format(i, part)
        expected[#expected + 1] = ("blocks.%d.%s.bias"):format(i, part)
      end
    end
    table.sort(expected)
    assert.same(expected, found)
    local back = families.all().vit:load_state(path)
    local x = families.batch(model, 2)
    assert.same(model:forward(x):totable(), back:forward(x):totable())
  end)

  it("are refused with what is wrong, at the caller's line", function()
    local model = families.all().vgg
    assert.equal("export_state: path: missing", errors.here(function() model:export_state() end))
    assert.is_truthy(errors.here(function() model:export_state(folder) end):find "^export_state: '.*': expected a re")
    assert.is_truthy(errors.here(function() model:export_state(path, { strict = 1 }) end):find "option 'strict'")
    assert.equal("export_state: names: expected one of 'torchvision', 'timm', got 'keras'",
      errors.here(function() model:export_state(path, { names = "keras" }) end))
    assert.equal("export_state: names: expected 'torchvision' but for ViTs, which have no parameter "
      .. "'classifier.0.bias'",
      errors.here(function() model:export_state(path, { names = "timm" }) end))
    assert.is_nil(files.read_all(path))
  end)
end)
