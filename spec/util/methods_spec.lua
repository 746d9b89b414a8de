local errors = require "support.errors"
local methods = require "secateur.util.methods"
local sc = require "secateur"

describe("methods called with a dot", function()
  local here = errors.here

  it("are named with the colon that they need, for every class that is handed out", function()
    local data = sc.data.phantom { count = 40, size = 16, seed = 1 }
    local model = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, classes = #data.classes, size = 16,
      channels = data.test.channels }
    local function message(class, name, got, variable)
      local text = "%s: self: expected a %s, got %s; is there a dot in place of a colon? %s:%s(...)"
      return text:format(name, class, got, variable, name)
    end
    assert.equal(message("Split", "batch", "a table", "split"), here(function() data.test.batch { 1 } end))
    assert.equal(message("Split", "batches", "a table", "split"), here(function() data.test.batches { batch = 2 } end))
    assert.equal(message("Split", "image", "1", "split"), here(function() data.test.image(1) end))
    assert.equal(message("Split", "count", "nil", "split"), here(function() data.test.count() end))
    for _, name in ipairs { "forward", "save", "load_state", "layers", "summary", "clone", "state", "release",
      "profile", "export_onnx", "export_state", "gradient", "preparation", "execution_plan", "check_batch" } do
      assert.equal(message("Model", name, "nil", "model"), here(function() model[name]() end))
    end
    local plan = sc.prune(model, sc.importance(model, data.train, { method = "magnitude" }), { rate = 0.5,
      repair = "none" }).pruning_plan
    assert.equal(message("PruningPlan", "save", "'x'", "plan"), here(function() plan.save("x") end))
    assert.equal(message("Profile", "csv", "'x'", "profile"),
      here(function() model:profile(data.test:batch { 1 }, { repeats = 1 }).csv("x") end))
  end)

  it("work on objects of one's own that look things up in ours", function()
    local data = sc.data.phantom { count = 40, size = 16, seed = 1 }
    local own = setmetatable({ name = "mine" }, { __index = data.test })
    assert.equal(data.test:count(), own:count())
    assert.same(data.test:batch({ 1 }):totable(), own:batch({ 1 }):totable())
  end)

  it("give what they gave, and leave constructors and metamethods but the text alone", function()
    local function equal() return true end
    local Class = { __name = "Thing", __tostring = function() return "te\27xt\nmore" end, __eq = equal }
    Class.__index = Class
    function Class.new() return setmetatable({}, Class) end
    function Class.pair(_, a, b) return b, nil, a end
    local new = Class.new
    methods.guard(Class)
    assert.equal("te\\x1Bxt\nmore", tostring(Class.new()))
    assert.equal(equal, Class.__eq)
    assert.equal(new, Class.new)
    assert.same({ 2, nil, 1, n = 3 }, table.pack(Class.new():pair(1, 2)))
  end)

  it("take splits, and say where a whole data set has them", function()
    local data = sc.data.phantom { count = 40, size = 16, seed = 1 }
    local model = sc.models.vgg { config = { 4 }, hidden = {}, pool = 1, classes = #data.classes, size = 16 }
    local hint = "got a Dataset; a data set has splits, such as data.test"
    for _, name in ipairs { "evaluate", "importance", "sample", "predict" } do
      assert.matches("^" .. name .. ": .*" .. hint:gsub("%p", "%%%0") .. "$",
        here(function() sc[name](model, data) end))
    end
  end)

  it("of tables are asked for where a name is nearly right, and nil else", function()
    assert.equal("models: no such function 'ResNet50'; did you mean 'resnet50'?",
      here(function() sc.models.ResNet50 {} end))
    assert.equal("data: no such function 'folders'; did you mean 'folder'?", here(function() sc.data.folders("x") end))
    assert.is_nil(sc.models.mine)
    assert.is_nil(sc.models.resnet19)
    assert.is_nil(sc.models[1])
  end)
end)
