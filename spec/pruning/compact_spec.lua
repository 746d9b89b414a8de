-- What users do with compact models.
local sc = require "secateur"
local core = require "secateur.core"
local families = require "support.families"
local files = require "secateur.util.files"
local onnx_run = require "support.onnx_run"
local protobuf = require "support.protobuf"
local temporary = require "support.temporary"

-- Two fifths of each layer go, other units in each, so that residual sums get parts of their streams.
local function thinned(model)
  local plan = {}
  for i, layer in ipairs(model:layers()) do
    plan[layer.name] = {}
    for unit = 1, layer.units do
      if (7 * unit + 3 * i) % 5 < 2 then table.insert(plan[layer.name], unit) end
    end
  end
  return sc.prune(model, plan)
end

local function batch(model, n, seed)
  local shape = { n, table.unpack(model.input_shape) }
  shape[#shape + 1] = { seed = seed }
  return core.randn(table.unpack(shape))
end

local function close(a, b, tolerance)
  return (a - b):abs():max() <= (tolerance or 1e-4) * math.max(a:abs():max(), 1e-20)
end

-- Families, each with its masked model and its compact one.
local function each(visit)
  for name, model in pairs(families.all()) do
    local masked = thinned(model)
    visit(name, masked, sc.compact(masked))
  end
end

describe("a compact model", function()
  local folder
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("says what it is, and has no plan", function()
    each(function(name, masked, small)
      assert.is_nil(small.pruning_plan, name)
      assert.same(masked.class_count, small.class_count)
      assert.same(masked.info, small.info)
      assert.is_not.equal(masked.info, small.info)
      local before, after = sc.cost(masked, { latency = false }), sc.cost(small, { latency = false })
      assert.is_true(after.macs < before.macs and after.parameters < before.parameters, name)
    end)
  end)

  it("has the masked model's attributions, by all methods that explain", function()
    local methods = require "secateur.attribution.methods"
    each(function(name, masked, small)
      local x = batch(masked, 2, 3)
      for _, method in ipairs(methods.explaining) do
        if not (name == "custom" and method == "guided_backprop" or name == "vit" and method == "guided_backprop") then
          local opts = { method = method, target = { 1, 2 }, baseline = method == "ig" and "zero" or nil }
          local a, b = sc.attribute(masked, x, opts), sc.attribute(small, x, opts)
          local place = ("%s, %s"):format(name, method)
          if a.input then assert(close(a.input, b.input, 2e-3), place) end
          for layer, relevance in pairs(b.layers) do
            if a.layers[layer] and a.layers[layer]:numel() == relevance:numel() then
              assert(close(a.layers[layer], relevance, 2e-3), place .. ": " .. layer)
            end
          end
        end
      end
    end)
  end)

  it("is saved and loaded, and is the same model to a clone", function()
    local path = files.join(folder, "small.safetensors")
    each(function(name, _, small)
      small:save(path)
      local x = batch(small, 2, 5)
      local expected = small:forward(x):totable()
      assert.same(expected, sc.load(path):forward(x):totable(), name)
      assert.same(expected, small:clone():forward(x):totable(), name)
    end)
  end)

  it("has the gradients of its logits, so that it trains", function()
    each(function(name, masked, small)
      local x = batch(masked, 2, 7)
      local a, b = masked:gradient(x, { target = { 1, 3 } }), small:gradient(x, { target = { 1, 3 } })
      assert(close(a.input, b.input, 1e-3), name)
    end)
  end)

  it("is pruned and compacted again", function()
    each(function(name, _, small)
      local again = thinned(small)
      local ok, smaller = pcall(sc.compact, again)
      if ok then
        local x = batch(small, 2, 9)
        assert(close(again:forward(x), smaller:forward(x)), name)
      else
        assert.matches("every path", smaller)
      end
    end)
  end)

  it("is written as ONNX, with the same logits", function()
    local path = files.join(folder, "small.onnx")
    each(function(name, _, small)
      small:export_onnx(path)
      local x = batch(small, 2, 11)
      local y = onnx_run.forward(protobuf.onnx(files.read_all(path)), x)
      assert.same({ 2, small.class_count }, y.dims, name)
      assert(close(small:forward(x), core.tensor(y.values):reshape(2, small.class_count)), name)
    end)
  end)

  it("trains", function()
    local data = sc.data.phantom { count = 40, size = 32, channels = 1 }
    local model = sc.models.resnet { block = "basic", stem = 4, planes = { 4, 6 }, blocks = { 1, 1 }, size = 32,
      classes = #data.classes, channels = 1 }
    local small = sc.compact(thinned(families.shake(model)))
    local history = sc.train(small, data, { epochs = 2, batch = 8, lr = 1e-3, augment = false, quiet = true })
    assert.equal(2, #history)
    for _, node in ipairs(small.graph:nodes()) do
      if node.op == "index_add" then
        for _, place in ipairs(small.graph:parameter(node.params[1].name):totable()) do
          assert.is_true(place >= 1 and place <= node.attrs.units)
        end
      end
    end
  end)
end)
