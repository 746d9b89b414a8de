local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local every_operation = require "support.every_operation"
local families = require "support.families"
local files = require "secateur.util.files"
local importance = require "secateur.pruning.importance"
local load = require "secateur.models.load"
local phantom = require "secateur.data.phantom"
local prune = require "secateur.pruning.prune"
local random_net = require "support.random_net"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"
local train = require "secateur.training.train"

local function every()
  return families.shake(custom { input = { 3, 17, 14 }, build = every_operation, name = "every" })
end

describe("a model's file", function()
  local folder, path

  before_each(function() folder = temporary.folder(); path = files.join(folder, "model") end)
  after_each(function() files.remove(folder) end)

  local function check_same(model, back, what)
    local x = families.batch(model, 2)
    assert.same(model:forward(x):totable(), back:forward(x):totable(), what)
    assert.same(model.graph:nodes(), back.graph:nodes(), what)
    assert.same(model.graph:parameters(), back.graph:parameters(), what)
    assert.same(model.graph:output(), back.graph:output(), what)
    assert.same(model.info, back.info, what)
  end

  it("carries any graph, to the last digit of its attributes", function()
    local model = every()
    model:save(path)
    check_same(model, load(path))
    for seed = 1, 30 do
      local net = random_net.make(seed, { bias = seed % 2 == 0, transformer = seed % 3 == 0,
        activations = { "relu", "gelu", "silu", "tanh", "sigmoid" } })
      model = random_net.model(net)
      model:save(path)
      check_same(model, load(path), seed)
    end
  end)

  it("carries parameters under names of their own, of any operation", function()
    local model = custom { input = { 2, 1, 1 }, build = function(net, x)
      x = net:flatten("flat", x)
      for _, name in ipairs { "a", "b" } do
        net:index_add(name, x, { units = 3 }, { index = { name = "places" } })
      end
      return net:add("sum", { "a", "b", net:parameter("p", {}, { shape = { 3 } }, { value = { name = "shift" } }) })
    end }
    model.graph:set_parameter("places", core.tensor({ 3, 1 }, "int64"))
    model:save(path)
    check_same(model, load(path))
  end)

  it("carries a model without parameters", function()
    local model = custom { input = { 3, 8, 8 }, build = function(net, x)
      return net:flatten("f", net:adaptive_avg_pool2d("p", x, { output = 1 }))
    end }
    model:save(path)
    check_same(model, load(path))
    assert.same({}, load(path):load_state({}):state())
  end)

  it("without parameters is nothing to train or to prune", function()
    local model = custom { input = { 1, 16, 16 }, build = function(net, x)
      return net:flatten("f", net:adaptive_avg_pool2d("p", x, { output = 2 }))
    end }
    local set = phantom { size = 16, count = 24, channels = 1, quiet = true }
    assert.equal("train: model: expected parameters to train, found none",
      errors.here(function() train(model, set, { quiet = true }) end))
    assert.equal("importance: model: expected layers that can be pruned, found none",
      errors.here(function() importance(model, set.train) end))
    assert.equal(4, evaluate(model, set.test).count)
  end)

  it("is the same bytes each time, however often it was read", function()
    local model = every()
    model:save(path)
    local bytes = files.read_all(path)
    load(path):save(path)
    assert.equal(bytes, files.read_all(path))
  end)

  it("keeps what a user notes in info", function()
    local model = every()
    model.info.classes, model.info.normalisation = { "a", "b", "c", "d", "e", "f", "g" }, { mean = { 0.1, 1 / 3, 1 },
      std = { 1, 2, 0.25 } }
    model.info.note = { by = "me", epochs = 3, rates = { 0.5, 1e-9 }, good = true }
    model:save(path)
    assert.same(model.info, load(path).info)
    model.info.note = print
    assert.equal("save: info: json: a function cannot be written", errors.here(function() model:save(path) end))
    assert.same("me", load(path).info.note.by)
    model.info.note, model.info.classes = nil, { "a" }
    assert.equal("save: info: classes: expected a list of 7 names", errors.here(function() model:save(path) end))
    model.info = { architecture = 3 }
    assert.equal("save: info: architecture: expected a name, got 3", errors.here(function() model:save(path) end))
  end)

  it("keeps the plan of a pruned model, as clones do", function()
    local model = families.halved(every())
    local plan = model.plan
    assert.is_true(plan:count() > 10)
    local clone = model:clone()
    assert.same(plan, clone.plan)
    assert.equal(tostring(plan), tostring(clone.plan))
    clone.plan["b.conv"][1] = nil
    assert.are_not.same(plan["b.conv"], clone.plan["b.conv"])
    model:save(path)
    local back = load(path)
    check_same(model, back)
    assert.same(plan, back.plan)
    assert.equal(tostring(plan), tostring(back.plan))
    assert.equal(plan:count(), back.plan:count())
    check_same(back, prune(load(path), back.plan)) -- a plan like any other
    assert.is_nil(every():clone().plan)
    every():save(path)
    assert.is_nil(load(path).plan)
  end)

  it("is not written with a plan that does not fit", function()
    local model = families.halved(every())
    model.plan["b.conv"][1] = 7
    assert.equal("save: plan: 'b.conv': expected units in 1..6, got 7", errors.here(function() model:save(path) end))
    model.plan = { nowhere = { 1 } }
    assert.equal("save: plan: the model has no prunable layer 'nowhere'", errors.here(function() model:save(path) end))
    model = every()
    model.plan = { ["b.conv"] = { 3, 1 } }
    assert.equal("save: plan: 'b.conv': expected units whose weights are zero, as prune leaves them; unit 1 is none",
      errors.here(function() model:save(path) end)) -- load would refuse the file
    model.graph = core.mask(model.graph, model.plan)
    model:save(path)
    assert.same({ ["b.conv"] = { 1, 3 } }, load(path).plan)
  end)

  it("costs the reader no more memory than it has bytes", function()
    local input = '{"nodes":[{"op":"input","name":"input","attrs":{"shape":[2147483647,1,1]}},%s],"output":"x"}'
    for _, node in ipairs { '{"op":"batch_norm2d","name":"x","inputs":["input"]}',
      '{"op":"conv2d","name":"x","inputs":["input"],"attrs":{"out":4,"kernel":1}}',
      '{"op":"linear","name":"x","inputs":["f"],"attrs":{"out":4}}',
      '{"op":"parameter","name":"x","attrs":{"shape":[2147483647]}}' } do
      if node:find '"f"' then node = '{"op":"flatten","name":"f","inputs":["input"]},' .. node end
      safetensors.save(path, { a = core.zeros(2) }, { format = "secateur", version = "1", graph = input:format(node) })
      local message = errors.here(function() load(path) end)
      assert.is_truthy(message:find ": expected at most 8 bytes, what is left for parameters, got %[", message)
    end
  end)
end)

describe("a damaged file", function()
  local folder, path

  before_each(function() folder = temporary.folder(); path = files.join(folder, "model") end)
  after_each(function() files.remove(folder) end)

  local function refusal(meta)
    safetensors.save(path, { a = core.zeros(20) }, meta)
    local message = errors.here(function() load(path) end)
    return message and (message:gsub("^load: '" .. path:gsub("%p", "%%%0") .. "': ", ""))
  end

  local function graph_refusal(graph)
    return refusal { format = "secateur", version = "1", graph = graph, info = "{}" }
  end

  it("is refused for its version, or without a graph", function()
    assert.equal("expected a file written by model:save, got one of weights alone (sc.load_checkpoint builds models "
      .. "from these)", refusal { format = "pt" })
    assert.equal("expected format version 1, got '7'", refusal { format = "secateur", version = "7", graph = "{}" })
    assert.equal("expected format version 1, got nil", refusal { format = "secateur", graph = "{}" })
    assert.equal("graph: missing", refusal { format = "secateur", version = "1" })
  end)

  it("is refused for its graph", function()
    assert.equal("graph: expected a list of nodes", graph_refusal "{}")
    assert.equal("graph: expected a list of nodes", graph_refusal "3")
    assert.equal("graph: json: expected a value at byte 1", graph_refusal "not json")
    assert.equal("graph: json: nested too deeply at byte 201", graph_refusal(("["):rep(100000)))
    assert.equal('graph: json: duplicate key "nodes" at byte 13', graph_refusal '{"nodes":[],"nodes":[]}')
    assert.equal("graph: expected at most 16777216 bytes, got 16777217", graph_refusal((" "):rep(16777217)))
    assert.equal("graph: expected at most 20000 nodes, got 20001",
      graph_refusal('{"nodes":[' .. ("1,"):rep(20000) .. "1]}"))
    for _, nodes in ipairs { '[{"op":"relu"}]', '[{"op":"relu","name":"a\\u0000b"}]', '{"a":{"op":"relu","name":"b"}}',
      "[null,1]", '[{"op":"","name":"x"}]' } do
      assert.equal("graph: node 1: expected an operation and a name", graph_refusal('{"nodes":' .. nodes .. "}"))
    end
    assert.equal("graph: unknown field 'loops'", graph_refusal '{"nodes":[],"loops":1}')
    assert.equal("graph: node 'x': unknown field 'input'",
      graph_refusal '{"nodes":[{"op":"relu","name":"x","input":[]}]}')
    assert.equal("graph: exec 'x': operation: expected one of core.operations(), got 'exec'",
      graph_refusal '{"nodes":[{"op":"exec","name":"x"}]}')
    assert.equal("graph: output: expected a name, got nil", graph_refusal '{"nodes":[]}')
    assert.equal("output: node: expected one of the graph, got 'y'", graph_refusal '{"nodes":[],"output":"y"}')
    assert.equal("the graph has no input",
      graph_refusal '{"nodes":[{"op":"parameter","name":"p","attrs":{"shape":[2]}}],"output":"p"}')
    assert.equal("graph: expected one input, called 'input', got 'x'",
      graph_refusal '{"nodes":[{"op":"input","name":"x","attrs":{"shape":[2]}}],"output":"x"}')
    local function behind(node, output)
      local start = '{"nodes":[{"op":"input","name":"input","attrs":{"shape":[2]}},'
      return graph_refusal(start .. node .. '],"output":"' .. (output or "l") .. '"}')
    end
    assert.equal("graph: relu 'l': node: expected one of the graph, got 'l'",
      behind '{"op":"relu","name":"l","inputs":["l"]}')
    assert.equal("graph: relu 'l': node: expected one of the graph, got 'b'", -- a circle
      behind '{"op":"relu","name":"l","inputs":["b"]},{"op":"relu","name":"b","inputs":["l"]}')
    assert.equal("graph: relu 'input': node 'input' already exists",
      behind '{"op":"relu","name":"input","inputs":["input"]}')
    assert.equal("graph: relu 'l': inputs: expected a list of node names, got 'input'",
      behind '{"op":"relu","name":"l","inputs":"input"}')
    assert.equal("graph: expected one input, called 'input', got 'l' as well",
      behind '{"op":"input","name":"l","attrs":{"shape":[2]}}')
    assert.equal("graph: linear 'l': inputs: expected 1 to 1, got 0",
      behind '{"op":"linear","name":"l","attrs":{"out":2}}')
    assert.is_truthy(behind('{"op":"linear","name":"l","inputs":["input"],"attrs":{"out":1e300}}')
      :find "^graph: linear 'l': out: ")
    assert.equal("2 missing: l.bias, l.weight; 1 unexpected: a",
      behind '{"op":"linear","name":"l","inputs":["input"],"attrs":{"out":2}}')
    assert.equal("1 missing: l.weight; 1 of another shape: a (expected float32 [2], got float32 [20])",
      behind '{"op":"linear","name":"l","inputs":["input"],"attrs":{"out":2},"params":{"bias":{"name":"a"}}}')
  end)

  -- A file whose model is whole, and one piece of metadata replaced.
  local function replaced(key, value)
    local model = families.halved(families.all().vgg)
    model:save(path)
    local tensors, meta = safetensors.load(path)
    meta[key] = value
    safetensors.save(path, tensors, meta)
    local message = errors.here(function() load(path) end)
    return message and (message:gsub("^load: '" .. path:gsub("%p", "%%%0") .. "': ", ""))
  end

  it("is refused for its info", function()
    local function info(text) return replaced("info", text) end
    assert.is_nil(info "{}")
    assert.is_nil(info '{"architecture":"vgg","classes":["a","b","c"],"normalisation":{"mean":[0,0.5],"std":[1,2]}}')
    assert.equal("info: json: expected : at byte 5", info '{"a"')
    assert.equal('info: json: duplicate key "a" at byte 8', info '{"a":1,"a":2}')
    assert.equal("info: expected an object, got 'x'", info '"x"')
    assert.equal("info: expected an object, got a table", info '["vgg"]')
    assert.equal("info: json: expected names as keys beside a list's 1..n, got 1", info '{"note":[1,null,3]}')
    assert.equal("info: architecture: expected a name, got a table", info '{"architecture":[1]}')
    assert.equal("info: classes: expected a list of 3 names", info '{"classes":["a",1,"b"]}')
    assert.equal("info: classes: expected a list of 3 names", info '{"classes":["a",null,"b"]}')
    assert.equal("info: classes: expected a list of 3 names", info '{"classes":{"a":"b"}}')
    assert.equal("info: head: expected 'softmax' or 'sigmoid', got 1", info '{"head":1}')
    assert.equal("info: classes: expected a list of 3 names", info '{"classes":["a","b"]}')
    for _, bad in ipairs { "3", "{}", '{"mean":[1],"std":[0]}', '{"mean":[1],"std":[1,2]}', '{"mean":["a"],"std":[1]}',
      '{"mean":[1e999],"std":[1]}', '{"mean":1,"std":1}', '{"mean":[],"std":[]}',
      '{"mean":[1,null,1],"std":[1,null,1]}' } do
      assert.equal("info: normalisation: expected as many positive numbers in std as numbers in mean",
        info('{"normalisation":' .. bad .. "}"))
    end
  end)

  it("is refused for its preparation", function()
    local function known(text) return replaced("info", '{"preparation":' .. text .. "}") end
    assert.is_nil(known '{"mean":[0.5],"std":[2],"resize":64,"crop":48,"interpolation":"nearest","range":[0,9]}')
    assert.equal("info: preparation: expected a table, got 3", known "3")
    assert.equal("info: preparation: unknown field 'means'", known '{"means":[1]}')
    assert.equal("info: preparation: expected as many numbers in std as in mean, got 1 and 2",
      known '{"mean":[1,2],"std":[1]}')
    local wrong = { mean = { "[1,null,2]", "[]", '{"a":1}', '["1"]', "1" }, std = { "[0]", "[-1]", "[1e999]" },
      resize = { "0", "1.5", '"shrink"', "true", "[]" }, crop = { "-1", '"64"', "1e999" },
      interpolation = { "1", '"lanczos"' }, range = { "[2,1]", "[1]", "[1,2,3]", "[null,1]", '"none"' },
      window = { "[1,0]", "true", "[1,null]" } }
    for key, values in pairs(wrong) do
      for _, value in ipairs(values) do
        local message = known(('{"%s":%s}'):format(key, value))
        assert.equal(("info: preparation: %s: expected "):format(key), (message or "none"):sub(1, 30 + #key), value)
      end
    end
  end)

  it("is refused for its plan", function()
    local function plan(layers, version)
      return replaced("plan", ('{"format":"secateur plan","version":%s,"layers":%s}'):format(version or 1, layers))
    end
    assert.is_nil(plan "[]")
    assert.is_nil(plan '[{"name":"features.0","units":4,"removed":[]}]')
    assert.equal("plan: 'features.0': expected units whose weights are zero, as prune leaves them; unit 3 is none",
      plan '[{"name":"features.0","units":4,"removed":[3,4]}]')
    assert.equal("plan: layers: expected a list, got a table", plan '{"features.0":[1]}')
    assert.equal("plan: layers: expected a list, got a table", plan '[null,{"name":"features.0","units":4}]')
    assert.equal('plan: json: duplicate key "a" at byte 8', replaced("plan", '{"a":1,"a":2}'))
    for _, removed in ipairs { "[1,null,3]", '{"a":1}', "3", "null" } do
      assert.truthy(plan('[{"name":"features.0","units":4,"removed":' .. removed .. "}]")
        :find "^plan: layer 1: expected a list of units, got ", removed)
    end
    assert.equal("plan: expected version 1, got 2", plan("[]", 2))
    assert.equal("plan: expected a plan as prune writes it", replaced("plan", "{}"))
    assert.equal("plan: json: expected a value at byte 1", replaced("plan", ""))
    assert.equal("plan: layer 1: expected name and units", plan "[3]")
    assert.equal("plan: layer 1: expected units in 1..4, got 5", plan '[{"name":"features.0","units":4,"removed":[5]}]')
    assert.equal("plan: layer 2: duplicate layer 'features.0'",
      plan '[{"name":"features.0","units":4,"removed":[]},{"name":"features.0","units":4,"removed":[]}]')
    assert.equal("plan: 'features.0': expected a layer of 5 units, the model's has 4",
      plan '[{"name":"features.0","units":5,"removed":[5]}]')
    assert.equal("plan: the model has no prunable layer 'classifier.3'",
      plan '[{"name":"classifier.3","units":3,"removed":[1]}]')
  end)

  -- Text with some of its bytes, numbers, words or pieces exchanged.
  local function mutated(text, draw)
    local kind = draw(6)
    if kind == 1 then -- a byte
      local at = draw(#text)
      return text:sub(1, at - 1) .. string.char(draw(95) + 31) .. text:sub(at + 1)
    elseif kind == 2 then -- cut short
      return text:sub(1, draw(#text))
    end
    local found = {}
    local pattern = ({ [3] = "()%-?%d[%d.]*()", [4] = '()"[^"]*"()', [5] = "()%b{}()", [6] = "()%b[]()" })[kind]
    for first, behind in text:gmatch(pattern) do found[#found + 1] = { first, behind } end
    if #found == 0 then return text .. "]" end
    local one, other = found[draw(#found)], found[draw(#found)]
    local numbers = { "0", "-1", "1e99", "4294967296", "2147483647", "0.5", "null", "[]", "9007199254740993" }
    local new = kind == 3 and draw(2) == 1 and numbers[draw(#numbers)] or text:sub(other[1], other[2] - 1)
    return text:sub(1, one[1] - 1) .. new .. text:sub(one[2])
  end

  it("ends in a clean error or in a model, whatever happened to its metadata", function()
    local refused, accepted, whole = 0, 0, {}
    for i, name in ipairs { "vit", "vgg_bn", "custom" } do
      families.halved(families.all()[name]):save(path)
      whole[i] = { safetensors.load(path) }
    end
    for seed = 1, 120 do
      local tensors, meta = whole[seed % 3 + 1][1], {}
      for key, value in pairs(whole[seed % 3 + 1][2]) do meta[key] = value end
      local state = seed * 2654435761
      local function draw(most)
        state = state * 6364136223846793005 + 1442695040888963407
        return (state >> 33) % most + 1
      end
      local key = ({ "graph", "graph", "graph", "graph", "plan", "info" })[draw(6)]
      for _ = 1, draw(3) do meta[key] = mutated(meta[key], draw) end
      safetensors.save(path, tensors, meta)
      local ok, message = pcall(load, path)
      if ok then
        accepted = accepted + 1
        local made = pcall(message.forward, message, families.batch(message, 1))
        assert.is_true(made, seed)
        message:save(path)
      else
        refused = refused + 1
        message = errors.bare(message)
        assert.equal("load: '" .. path .. "': ", message:sub(1, #path + 10), seed)
        assert.is_nil(message:find("traceback", 1, true) or message:find(".lua:", #path, true), message)
      end
    end
    assert.is_true(refused > 80 and accepted > 5, ("%d refused, %d accepted"):format(refused, accepted))
  end)
end)
