local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local models = require "secateur.models"
local plans = require "secateur.models.pruning_plan"
local prune = require "secateur.pruning.prune"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"

local function vit(classes)
  return models.vit { size = 8, patch = 4, layers = 2, heads = 2, dim = 8, mlp = 12, classes = classes or 3 }
end

local function normed(seed, classes)
  return families.shake(models.vgg { config = { 4, "M" }, hidden = { 5 }, pool = 1, classes = classes or 2, size = 4,
    batch_norm = true, seed = seed })
end

-- A state with other names.
local function renamed(state, rename)
  local other = {}
  for name, tensor in pairs(state) do other[rename(name)] = tensor end
  return other
end

local function older(name)
  return (name:gsub("mlp%.0", "mlp.linear_1"):gsub("mlp%.3", "mlp.linear_2"))
end

local to_timm = { class_token = "cls_token", ["encoder.pos_embedding"] = "pos_embed", ln_1 = "norm1", ln_2 = "norm2",
  ["self_attention.in_proj_"] = "attn.qkv.", ["self_attention.out_proj"] = "attn.proj", ["mlp.0"] = "mlp.fc1",
  ["mlp.3"] = "mlp.fc2", conv_proj = "patch_embed.proj", ["encoder.ln"] = "norm", ["heads.head"] = "head",
  ["encoder.layers.encoder_layer_"] = "blocks." }

local function timm(name)
  for ours, theirs in pairs(to_timm) do name = name:gsub(ours:gsub("%p", "%%%0"), theirs) end
  return name
end

describe("loading a state", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function path(name) return files.join(folder, name) end

  it("reads files of weights by their path", function()
    local a, b = normed(1), normed(2)
    safetensors.save(path "a.safetensors", a:state())
    for name, p in pairs(b:state()) do
      if p:dtype() == "float32" then b.graph:set_parameter(name, p * 0.5) end
    end
    local x = families.batch(a, 3)
    assert.are_not.same(a:forward(x):totable(), b:forward(x):totable())
    assert.equal(b, b:load_state(path "a.safetensors"))
    assert.same(a:forward(x):totable(), b:forward(x):totable())
    a:save(path "model")
    assert.same(a:forward(x):totable(), normed(3):load_state(path "model"):forward(x):totable())
  end)

  it("looks through the names of wrappers, of older ViTs and of timm", function()
    local a = families.shake(vit())
    local x = families.batch(a, 2)
    local y = a:forward(x):totable()
    for _, rename in ipairs { older, timm, function(name) return "module._orig_mod." .. timm(name) end,
      function(name) return "model." .. older(name) end } do
      local state = renamed(a:state(), rename)
      assert.is_nil(state["encoder.layers.encoder_layer_0.mlp.0.weight"])
      assert.same(y, vit():load_state(state):forward(x):totable())
    end
    local state = renamed(a:state(), function(name) return "net." .. timm(name) end)
    state.extra = core.zeros(1)
    assert.same(y, vit():load_state(state, { prefix = "net." }):forward(x):totable())
    local message = errors.here(function() vit():load_state(state) end)
    assert.is_truthy(message:find("; prefix = 'net.' would look at names that begin so alone", 1, true), message)
    assert.equal("load_state: prefix: no name begins with 'nte.'",
      errors.here(function() vit():load_state(state, { prefix = "nte." }) end))
  end)

  it("leaves names alone that the model itself has", function()
    local function build(net, x)
      x = net:linear("model.head", x, { out = 4 })
      return net:linear("model.cls", x, { out = 2 })
    end
    local a = families.shake(custom { input = { 3 }, build = build })
    local b = custom { input = { 3 }, build = build }
    local x = core.randn(2, 3)
    assert.same(a:forward(x):totable(), b:load_state(a:state()):forward(x):totable())
    local state = renamed(a:state(), function(name) return "module." .. name end)
    assert.same(a:forward(x):totable(), b:load_state(state):forward(x):totable())
    local head = custom { input = { 3 }, build = function(net, y) return net:linear("head", y, { out = 4 }) end }
    assert.equal(head, head:load_state { ["head.weight"] = core.zeros(4, 3), ["head.bias"] = core.zeros(4) })
  end)

  it("needs no counters of batches", function()
    local a, b = normed(1), normed(2)
    local state = a:state()
    state["features.1.num_batches_tracked"] = nil
    local x = families.batch(a, 2)
    assert.same(a:forward(x):totable(), b:load_state(state):forward(x):totable())
    state["features.1.num_batches_tracked"] = core.tensor({ 3.5 }):reshape() -- of who made everything half precision
    assert.same(a:forward(x):totable(), b:load_state(state):forward(x):totable())
    state["features.1.num_batches_tracked"] = core.zeros(2)
    assert.equal("load_state: 1 of another shape: features.1.num_batches_tracked (expected int64 [], got float32 [2])",
      errors.here(function() b:load_state(state) end))
    state["features.1.num_batches_tracked"] = nil
    state["features.1.running_mean"] = nil
    assert.equal("load_state: 1 missing: features.1.running_mean", errors.here(function() b:load_state(state) end))
  end)

  it("keeps the plan of a pruned model as long as it holds", function()
    for _, model in ipairs { normed(1), vit() } do
      local units = {}
      for _, layer in ipairs(model:layers()) do units[layer.name] = { 1, layer.units } end
      local pruned = prune(families.shake(model), units)
      local zeros = pruned:state()
      assert.is_true(plans.is(pruned:load_state(zeros).plan))
      pruned:load_state(zeros, { exclude = "weight$" })
      assert.is_true(plans.is(pruned.plan))
      assert.is_nil(pruned:load_state(model:state()).plan)
    end
  end)

  it("leaves parameters as they are where asked to", function()
    local a, b = normed(1), normed(2, 3)
    local state = a:state()
    local kept = b:state()["classifier.3.weight"]:totable()
    assert.equal("load_state: 2 of another shape: classifier.3.bias (expected float32 [3], got float32 [2]), "
      .. "classifier.3.weight (expected float32 [3x5], got float32 [2x5])",
      errors.here(function() b:load_state(state) end))
    b:load_state(state, { exclude = "^classifier%.3%." })
    assert.same(kept, b:state()["classifier.3.weight"]:totable())
    assert.same(state["classifier.0.weight"]:totable(), b:state()["classifier.0.weight"]:totable())
    state["classifier.3.weight"], state["classifier.6.weight"] = nil, core.zeros(1)
    b:load_state(state, { exclude = { "^classifier%.3%.", "^classifier%.6%." } })
    assert.same(kept, b:state()["classifier.3.weight"]:totable())
    local timm_state = renamed(families.shake(vit(5)):state(), timm)
    vit():load_state(timm_state, { exclude = "^heads%.head%." })
    vit():load_state(timm_state, { exclude = "head" })
    local here = errors.here
    assert.equal("load_state: the exclude patterns match every parameter",
      here(function() b:load_state(state, { exclude = "" }) end))
    assert.equal("load_state: exclude: no parameter matches '^fc%.'",
      here(function() b:load_state(state, { exclude = { "^fc%." } }) end))
    assert.equal("load_state: exclude: expected Lua patterns, got { 3 }",
      here(function() b:load_state(state, { exclude = { 3 } }) end))
    assert.equal("load_state: exclude: expected Lua patterns, got '%'",
      here(function() b:load_state(state, { exclude = "%" }) end))
    assert.equal("load_state: exclude: expected a Lua pattern, got '^classifier[': malformed pattern (missing ']')",
      here(function() b:load_state(state, { exclude = "^classifier[" }) end))
    assert.equal("load_state: key: expected none with a table, which is the dictionary itself",
      here(function() b:load_state(state, { key = "model" }) end))
  end)

  it("names a file that does not fit, and lists long faults in part", function()
    local a = vit()
    safetensors.save(path "bad", { a = core.zeros(1), b = core.zeros(2) })
    local message = errors.here(function() a:load_state(path "bad") end)
    local count = #a.graph:parameters()
    assert.is_truthy(message:find(("load_state: '%s': %d missing: class_token, "):format(path "bad", count), 1, true))
    assert.is_truthy(message:find((", and %d more; 2 unexpected: a, b"):format(count - 20), 1, true))
    assert.is_true(#message < 1500)
    message = errors.here(function() a:load_state(path "none") end)
    assert.is_truthy(message:find(("load_state: '%s': "):format(path "none"), 1, true))
    local _, again = message:gsub("none", "")
    assert.equal(1, again)
  end)

  it("refuses a parameter that has two names", function()
    local state = vit():state()
    state["norm.weight"] = core.zeros(8)
    assert.equal("load_state: 1 named twice: encoder.ln.weight and norm.weight",
      errors.here(function() vit():load_state(state) end))
  end)

  it("changes nothing when a tensor cannot be read", function()
    local state = require "secateur.models.load_state"
    local model = normed(1)
    local before, tensors = {}, model:state()
    for name, tensor in pairs(tensors) do before[name] = tensor:totable() end
    local count = 0
    local source = state.open(normed(2, 2):state())
    local failing = setmetatable({ read = function(_, name)
      count = count + 1
      if count == 5 then error("gone", 0) end
      return source:read(name) + 1
    end }, { __index = function(_, key) return function(_, ...) return source[key](source, ...) end end })
    assert.equal("gone", errors.text(state.load, model.graph, failing))
    for name, tensor in pairs(model:state()) do assert.same(before[name], tensor:totable()) end
  end)
end)
