local core = require "secateur.core"
local custom = require "secateur.models.custom"
local every_operation = require "support.every_operation"
local families = require "support.families"
local files = require "secateur.util.files"
local onnx_run = require "support.onnx_run"
local protobuf = require "support.protobuf"
local random_net = require "support.random_net"
local temporary = require "support.temporary"
local needs = require "support.needs"

-- spec/bench/export.lua asks ONNX Runtime the same; here a slow interpreter of our own answers.
describe("an exported model gives the same logits", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function check(model, opts, expected, x, name)
    local path = files.join(folder, "model.onnx")
    model:export_onnx(path, opts)
    local found = onnx_run.forward(protobuf.onnx(files.read_all(path)), x)
    assert.same(expected:shape(), found.dims, name)
    local most = expected:abs():max()
    for i, value in ipairs(expected:reshape(expected:numel()):totable()) do
      assert.near(value / most, found.values[i] / most, 1e-5, name)
    end
  end

  local function batch(model, count)
    local sizes = { count, table.unpack(model.input_shape) }
    sizes[#sizes + 1] = { seed = count }
    return core.randn(table.unpack(sizes))
  end

  it("for every family, folded and pruned", function()
    for name, model in pairs(families.all()) do
      for _, each in ipairs { model, families.halved(model) } do
        local x = batch(each, 2)
        check(each, nil, each:forward(x), x, name)
        check(each, { fold = true }, each:forward(x), x, name)
      end
    end
  end)

  it("for every operation, at once", function()
    local model = families.shake(custom { input = { 3, 17, 14 }, build = every_operation })
    for _, each in ipairs { model, families.halved(model) } do
      local x = batch(each, 3)
      check(each, nil, each:forward(x), x)
    end
  end)

  it("for random networks", function()
    for seed = 101, 100 + needs.some(25) do
      local model = random_net.model(random_net.make(seed, { bias = seed % 2 == 0, transformer = seed % 4 == 0,
        activations = { "relu", "gelu", "silu", "tanh", "sigmoid" } }))
      local x = batch(model, 1 + seed % 2)
      check(model, { fold = seed % 3 == 0 }, model:forward(x), x, seed)
    end
  end)

  it("for images in [0, 1], as probabilities", function()
    local model = families.all().vgg
    model.info.normalisation = { mean = { 0.5, 0.25, 0.125 }, std = { 0.5, 0.2, 0.4 } }
    local images = core.rand(2, 3, 16, 16, { seed = 4 })
    local x = images:clone()
    for i = 1, 2 do
      for c = 1, 3 do
        local mean, std = model.info.normalisation.mean[c], model.info.normalisation.std[c]
        for h = 1, 16 do
          for w = 1, 16 do x:set((images:get(i, c, h, w) - mean) / std, i, c, h, w) end
        end
      end
    end
    local logits = model:forward(x):totable()
    for _, row in ipairs(logits) do
      local sum = 0
      for k, value in ipairs(row) do row[k] = math.exp(value) sum = sum + row[k] end
      for k, value in ipairs(row) do row[k] = value / sum end
    end
    check(model, { normalise = true, probabilities = true }, core.tensor(logits), images)
    check(model, { normalise = true, softmax = true }, core.tensor(logits), images)
  end)

  it("as the probabilities of a sigmoid head, of one logit or of several", function()
    local x = core.randn(2, 1, 8, 8, { seed = 4 })
    for _, classes in ipairs { 1, 3 } do
      local model = require "secateur.models".vgg { config = { 4, "M" }, hidden = {}, pool = 2, classes = classes,
        size = 8, channels = 1, head = "sigmoid" }
      check(model, { probabilities = true }, core.sigmoid(model:forward(x)), x)
    end
  end)
end)
