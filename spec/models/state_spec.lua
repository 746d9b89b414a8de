local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local load = require "secateur.models.load"
local models = require "secateur.models"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"

local function small(seed)
  return models.vgg { config = { 2, "M" }, hidden = {}, pool = 1, classes = 2, size = 4, seed = seed }
end

describe("a model's parameters", function()
  it("go out by name and come back in", function()
    local a, b = small(1), small(2)
    local x = families.batch(a, 3)
    assert.are_not.same(a:forward(x):totable(), b:forward(x):totable())
    assert.equal(b, b:load_state(a:state()))
    assert.same(a:forward(x):totable(), b:forward(x):totable())
    local names = {}
    for name in pairs(a:state()) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "classifier.0.bias", "classifier.0.weight", "features.0.bias", "features.0.weight" }, names)
  end)

  it("are looked up under a prefix, where only such names count", function()
    local a, b, prefixed = small(1), small(2), { ["other.weight"] = core.zeros(1), [3] = true }
    for name, tensor in pairs(a:state()) do prefixed["net." .. name] = tensor end
    b:load_state(prefixed, { prefix = "net." })
    local x = families.batch(a, 1)
    assert.same(a:forward(x):totable(), b:forward(x):totable())
    prefixed["net.extra"] = core.zeros(1)
    assert.equal("load_state: 1 unexpected: extra",
      errors.here(function() b:load_state(prefixed, { prefix = "net." }) end))
  end)

  it("are taken all or none, and every fault is named", function()
    local model = small(1)
    local before = model.graph:parameter("features.0.weight"):totable()
    local state = model:state()
    state["features.0.bias"], state["classifier.0.bias"] = nil, nil
    state["classifier.0.weight"] = core.zeros(2, 3)
    state["features.0.weight"] = core.zeros(2, 3, 3, 3, { dtype = "uint8" })
    state["z"], state["a"] = core.zeros(1), core.zeros(1)
    assert.equal("load_state: 2 missing: classifier.0.bias, features.0.bias; 2 unexpected: a, z; 2 of another shape: "
      .. "classifier.0.weight (expected float32 [2x2], got float32 [2x3]), "
      .. "features.0.weight (expected float32 [2x3x3x3], got uint8 [2x3x3x3])",
      errors.here(function() model:load_state(state) end))
    assert.same(before, model.graph:parameter("features.0.weight"):totable())
    state = model:state()
    state["features.0.bias"] = { 0, 0 }
    assert.equal("load_state: 1 of another shape: features.0.bias (expected float32 [2], got a table)",
      errors.here(function() model:load_state(state) end))
    assert.equal("load_state: from: expected a path or a table, got nil",
      errors.here(function() model:load_state() end))
    assert.equal("load_state: unknown option 'strict', expected one of: exclude, key, prefix",
      errors.here(function() model:load_state({}, { strict = false }) end))
  end)

  it("are the caller's tensors, shared", function()
    local model, state = small(1), small(2):state()
    model:load_state(state)
    state["classifier.0.bias"]:set(42, 1)
    assert.equal(42, model:state()["classifier.0.bias"]:get(1))
  end)

  it("belong to clones as well, until one of them changes", function()
    local model = small(1)
    local clone = model:clone()
    local x = families.batch(model, 1)
    local y = model:forward(x):totable()
    assert.same(y, clone:forward(x):totable())
    clone.graph:own_parameters()
    clone:state()["classifier.0.bias"]:fill(100)
    assert.same(y, model:forward(x):totable())
    assert.are_not.same(y, clone:forward(x):totable())
    assert.same(model.info, clone.info)
    assert.are_not.equal(model.info, clone.info)
  end)
end)

describe("a model's file", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function path(name) return files.join(folder, name) end

  it("brings back every family, with the same outputs", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 3)
      local y = model:forward(x):totable()
      model:save(path(name))
      local back = load(path(name))
      assert.same(y, back:forward(x):totable(), name)
      assert.same(model.graph:nodes(), back.graph:nodes(), name)
      assert.same(model.graph:parameters(), back.graph:parameters(), name)
      assert.same(model.info, back.info, name)
      assert.equal(tostring(model), tostring(back))
      back:save(path "again")
      assert.same(y, load(path "again"):forward(x):totable(), name)
    end
  end)

  it("brings back parameters that nodes share or take rows of", function()
    local build = function(net, x)
      local shared = { weight = { name = "table", first = 2, total = 6 }, bias = { name = "shift" } }
      net:linear("a", x, { out = 4 }, shared)
      net:linear("b", x, { out = 4 }, shared)
      return net:add("out", { "a", "b" })
    end
    local model = families.shake(require "secateur.models.custom" { input = { 5 }, build = build })
    model:save(path "shared")
    local back = load(path "shared")
    local x = core.randn(2, 5)
    assert.same(model:forward(x):totable(), back:forward(x):totable())
    assert.equal(2, #back.graph:parameters())
  end)

  it("is refused at the caller's line when it holds no model", function()
    safetensors.save(path "plain", { a = core.zeros(2) }, {})
    local other = "load: '%s': expected a file written by model:save, got one of weights alone "
      .. "(sc.load_checkpoint builds models from these)"
    assert.equal(other:format(path "plain"), errors.here(function() load(path "plain") end))
    local pytorch = "spec/fixtures/checkpoints/unsummed.pth"
    assert.equal(other:format(pytorch), errors.here(function() load(pytorch) end))
    assert.equal("load: path: expected a string, got 3", errors.here(function() load(3) end))
    assert.equal("load: path: missing", errors.here(function() load() end))
    local missing = errors.here(function() load(path "missing") end)
    assert.equal(("load: '%s': No such file or directory"):format(path "missing"), missing)
    local nowhere = files.join(path "plain", "model") -- below a file
    assert.equal(("save: '%s': Not a directory"):format(nowhere),
      errors.here(function() families.all().vgg:save(nowhere) end))
  end)

  it("goes into a folder that is made for it", function()
    local model = families.all().vgg
    model:save(path "new/deep/m.safetensors")
    model:export_state(path "new/state/s.safetensors")
    model:export_onnx(path "new/onnx/m.onnx")
    for _, name in ipairs { "new/deep/m.safetensors", "new/state/s.safetensors", "new/onnx/m.onnx" } do
      assert.is_true(files.is_file(path(name)))
    end
  end)
end)
