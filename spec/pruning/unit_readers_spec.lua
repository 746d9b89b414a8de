local sc = require "secateur"
local core = require "secateur.core"
local unit_readers = require "secateur.pruning.unit_readers"

local function find(model, folded)
  local names = {}
  for i, layer in ipairs(model:layers()) do names[i] = layer.name end
  return unit_readers.find(folded and core.fold_batch_norm(model.graph) or model.graph, names)
end

-- Where units are seen, and the letters of how: w(riter), m(atched), s(hared).
local function summary(found)
  local out = {}
  for name, reader in pairs(found) do
    local how = (reader.writer and "w" or "") .. (reader.matched and "m" or "") .. (reader.shared and "s" or "")
    assert.equal(how ~= "", reader.stiff)
    assert.equal(reader.writer, reader.sum ~= nil)
    out[name] = reader.seen_at .. (how ~= "" and " " .. how or "")
  end
  return out
end

local function custom(build) return sc.model { input = { 3, 8, 8 }, build = build } end

describe("units are seen", function()
  it("behind norm, activation and pool in a VGG", function()
    local model = sc.models.vgg { config = { 8, "M", 16, "M" }, hidden = { 24, 12 }, pool = 2, classes = 3, size = 16,
      batch_norm = true }
    for _, folded in ipairs { false, true } do
      assert.same({ ["features.0"] = "features.3", ["features.4"] = "avgpool", ["classifier.0"] = "classifier.2",
        ["classifier.3"] = "classifier.5" }, summary(find(model, folded)))
    end
  end)

  it("before the sum at the end of a ResNet's branches, and where all read the stem", function()
    local model = sc.models.resnet { block = "bottleneck", stem = 8, planes = { 4 }, blocks = { 1 }, classes = 5,
      size = 32 }
    local found = find(model, true)
    assert.same({ conv1 = "maxpool s", ["layer1.0.conv1"] = "layer1.0.relu1", ["layer1.0.conv2"] = "layer1.0.relu2",
      ["layer1.0.conv3"] = "layer1.0.conv3 w", ["layer1.0.downsample.0"] = "layer1.0.downsample.0 w" }, summary(found))
    assert.same({ "layer1.0.add", 1 }, { found["layer1.0.conv3"].sum, found["layer1.0.conv3"].sum_input })
    assert.same({ "layer1.0.add", 2 }, { found["layer1.0.downsample.0"].sum, found["layer1.0.downsample.0"].sum_input })
    assert.equal("layer1.0.bn3", find(model)["layer1.0.conv3"].seen_at)
  end)

  it("as outputs of what writes into a ViT's stream, and of queries and keys", function()
    local model = sc.models.vit { size = 16, patch = 8, layers = 1, heads = 2, dim = 8, mlp = 12, classes = 3 }
    local block = "encoder.layers.encoder_layer_0."
    local attention = block .. "self_attention"
    local found = find(model)
    assert.same({ conv_proj = "conv_proj w", [attention .. ".q"] = attention .. ".q m",
      [attention .. ".k"] = attention .. ".k m", [attention .. ".v"] = attention .. ".v",
      [attention] = attention .. " w", [block .. "mlp.0"] = block .. "mlp.1", [block .. "mlp.3"] = block .. "mlp.3 w" },
      summary(found))
    assert.equal("encoder.dropout", found.conv_proj.sum)
  end)

  it("before a concatenation, whatever reads it", function()
    assert.same({ a = "a1", b = "b", c = "c1", d = "d s" }, summary(find(custom(function(net, x)
      x = net:conv2d("d", x, { out = 2, kernel = 1 })
      local a = net:relu("a1", net:conv2d("a", x, { out = 4, kernel = 1 }))
      local b = net:conv2d("b", x, { out = 5, kernel = 1 })
      local joined = net:relu("joined", net:concat("both", { a, b }))
      local c = net:max_pool2d("c1", net:conv2d("c", joined, { out = 4, kernel = 1 }), { kernel = 2 })
      return net:linear("head", net:flatten("flat", c), { out = 3 })
    end))))
  end)

  it("as writers through concatenations and activations up to a sum", function()
    local found = find(custom(function(net, x)
      local a = net:relu("a1", net:conv2d("a", x, { out = 2, kernel = 1 }))
      local b = net:conv2d("b", x, { out = 2, kernel = 1 })
      local c = net:conv2d("c", x, { out = 4, kernel = 1 })
      local sum = net:add("sum", { net:sigmoid("squashed", net:concat("both", { a, b })), c })
      return net:linear("head", net:flatten("flat", net:relu("last", sum)), { out = 3 })
    end))
    assert.same({ a = "a1 w", b = "b w", c = "c w" }, summary(found))
    assert.same({ "sum", 1, 2 }, { found.a.sum, found.b.sum_input, found.c.sum_input })
  end)

  it("before a layer norm, which mixes them", function()
    assert.same({ a = "a", b = "b1" }, summary(find(custom(function(net, x)
      x = net:linear("a", net:flatten("flat", x), { out = 6 })
      x = net:linear("b", net:layer_norm("norm", x), { out = 5 })
      return net:linear("head", net:gelu("b1", x), { out = 3 })
    end))))
  end)
end)
