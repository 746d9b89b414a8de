-- Compact graphs against the masked ones that they come from: the same logits, fewer parameters.
local compact = require "secateur.pruning.compact"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local every_operation = require "support.every_operation"
local families = require "support.families"
local random_net = require "support.random_net"
local random_plans = require "support.random_plans"
local needs = require "support.needs"

local PAIRS = tonumber(os.getenv "SECATEUR_PAIRS") or needs.some(120) -- random architectures and plans

local function images(model, seed)
  local shape = { 3, table.unpack(model.input_shape) }
  shape[#shape + 1] = { seed = seed or 1 }
  return core.randn(table.unpack(shape))
end

-- Raises unless two models give the same logits but for rounding; gives the largest difference.
local function same_logits(expected, model, place)
  local x = images(expected)
  local a, b = expected:forward(x), model:forward(x)
  local difference = (a - b):abs():max() / math.max(a:abs():max(), 1e-30)
  assert(difference <= 1e-4, ("%s: logits differ by %g of the largest"):format(place, difference))
  return difference
end

local function masked(model, plan)
  local copy = model:clone()
  copy.graph = core.mask(model.graph, plan)
  return copy
end

local function parameters(model)
  local count = 0
  for _, parameter in ipairs(model.graph:parameters()) do
    local numel = 1
    for _, size in ipairs(parameter.shape) do numel = numel * size end
    count = count + numel
  end
  return count
end

local function shape_of(model, name)
  return table.concat(model.graph:node(name).shape, "x")
end

local function has_node(model, name)
  for _, node in ipairs(model.graph:nodes()) do
    if node.name == name then return true end
  end
  return false
end

-- A model whose parameters are all random.
local function build(input, make)
  return families.shake(custom { input = input, build = make })
end

local function range(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = i end
  return list
end

-- Sets one number, or a row, of a parameter.
local function zero_rows(model, name, rows)
  local value = model.graph:parameter(name):clone()
  for _, row in ipairs(rows) do value:view(row, row):fill(0) end
  model.graph:set_parameter(name, value)
end

local function fill(model, name, number)
  model.graph:set_parameter(name, model.graph:parameter(name):clone():fill(number))
end

describe("compact", function()
  it("gives the logits of the masked model, for each family at each rate", function()
    for name, model in pairs(families.all()) do
      for seed = 1, 6 do
        local pruned = masked(model, random_plans.make(model:layers(), seed))
        local ok, small = pcall(compact, pruned)
        if ok then
          same_logits(pruned, small, ("%s, plan %d"):format(name, seed))
        else
          assert.matches("^.*compact: every path", small)
        end
      end
    end
  end)

  it("gives the logits of the masked model, for random architectures and plans", function()
    local compared, refused = 0, 0
    for seed = 1, PAIRS do
      local net = random_net.make(seed, { bias = seed % 2 == 0, transformer = seed % 3 == 0,
        activations = { "relu", "gelu", "sigmoid", "silu", "tanh" } })
      local model = random_net.model(net)
      local pruned = masked(model, random_plans.make(model:layers(), seed))
      local ok, small = pcall(compact, pruned)
      if ok then
        same_logits(pruned, small, "seed " .. seed)
        compared = compared + 1
      else
        assert.matches("every path from the images to the output is dead", small)
        local y = pruned:forward(images(pruned))
        assert(y:allclose(pruned:forward(images(pruned, 2)), 1e-5, 1e-6), "seed " .. seed .. ": not dead")
        refused = refused + 1
      end
    end
    assert(compared > refused, "too few models with live paths")
  end)

  it("keeps every operation's numbers", function()
    local model = families.shake(custom { input = { 3, 17, 14 }, build = every_operation })
    same_logits(model, compact(model), "nothing pruned")
    for seed = 1, 12 do
      local pruned = masked(model, random_plans.make(model:layers(), seed))
      local ok, small = pcall(compact, pruned)
      if ok then same_logits(pruned, small, "plan " .. seed) end
    end
  end)

  it("is the same network again when it is compacted again", function()
    for seed = 1, 20 do
      local model = random_net.model(random_net.make(seed, { bias = true, transformer = seed % 2 == 0 }))
      local pruned = masked(model, random_plans.make(model:layers(), 7 * seed))
      local ok, small = pcall(compact, pruned)
      if ok then
        local again = compact(small)
        same_logits(pruned, again, "seed " .. seed)
        assert.equal(parameters(small), parameters(again))
      end
    end
  end)

  it("removes exactly the units of the plan, and the features behind a flatten", function()
    local model = build({ 3, 8, 8 }, function(net, x)
      x = net:relu("r1", net:conv2d("c1", x, { out = 6, kernel = 3, padding = 1 }))
      x = net:max_pool2d("p", x, { kernel = 2 })
      x = net:relu("r2", net:conv2d("c2", x, { out = 5, kernel = 3, padding = 1 }))
      x = net:relu("r3", net:linear("f1", net:flatten("flat", x), { out = 7 }))
      return net:linear("f2", x, { out = 4 })
    end)
    local small = compact(masked(model, { c1 = { 1, 4 }, c2 = { 2 }, f1 = { 3, 5, 7 } }))
    assert.equal("4x8x8", shape_of(small, "c1"))
    assert.equal("4x4x4", shape_of(small, "c2"))
    assert.equal("64", shape_of(small, "flat"))
    assert.same({ 4, 64 }, small.graph:parameter("f1.weight"):shape())
    assert.same({ 4, 4, 3, 3 }, small.graph:parameter("c2.weight"):shape())
    assert.equal(4 * 3 * 9 + 4 + 4 * 4 * 9 + 4 + 4 * 64 + 4 + 4 * 4 + 4, parameters(small))
  end)

  it("computes only what a branch still makes of a residual stream, and narrows that", function()
    local model = build({ 3, 6, 6 }, function(net, x)
      local stream = net:conv2d("stem", x, { out = 8, kernel = 3, padding = 1 })
      local branch = net:relu("r", net:conv2d("a", stream, { out = 4, kernel = 3, padding = 1 }))
      branch = net:conv2d("b", branch, { out = 8, kernel = 3, padding = 1 })
      stream = net:relu("out", net:add("sum", { stream, branch }))
      return net:linear("head", net:flatten("flat", net:adaptive_avg_pool2d("pool", stream, { output = 1 })),
        { out = 3 })
    end)
    local pruned = masked(model, { stem = { 1, 2, 3 }, b = { 2, 3, 5, 6 }, a = { 1 } })
    local small = compact(pruned)
    same_logits(pruned, small, "stream")
    assert.equal("5x6x6", shape_of(small, "stem")) -- 4..8
    assert.equal("4x6x6", shape_of(small, "b")) -- 1, 4, 7, 8
    assert.equal("6x6x6", shape_of(small, "sum")) -- all but 2 and 3
    assert.equal("index_add", small.graph:node("sum").op)
    assert.same({ 3, 6 }, small.graph:parameter("head.weight"):shape())
    -- the branch is gone: the stream is what it was before
    small = compact(masked(model, { b = range(1, 8) }))
    assert.is_false(has_node(small, "sum") or has_node(small, "a") or has_node(small, "b"))
    -- both have all channels: a sum as before
    small = compact(masked(model, { stem = { 1 }, b = { 1 } }))
    assert.equal("add", small.graph:node("sum").op)
  end)

  it("keeps sums of units in another order, whatever is left of them", function()
    local model = build({ 2, 5, 5 }, function(net, x)
      local one = net:conv2d("one", x, { out = 2, kernel = 3 })
      local two = net:conv2d("two", x, { out = 3, kernel = 3 })
      local sum = net:index_add("sum", { one, two }, { units = 3 })
      net.graph:set_parameter("sum.index", core.tensor({ 2, 1, 3, 1, 2 }, "int64"))
      return net:linear("head", net:flatten("flat", net:relu("r", sum)), { out = 2 })
    end)
    for _, plan in ipairs { {}, { one = { 1, 2 } }, { one = { 1 }, two = { 2 } }, { two = { 1, 2, 3 } } } do
      local pruned = masked(model, plan)
      local small = compact(pruned)
      same_logits(pruned, small, "order")
      same_logits(pruned, compact(small), "order, again")
    end
  end)

  it("adds what is fixed and not zero to the reader's bias, but not across zero padding", function()
    local function make(padding, bias)
      return build({ 2, 7, 7 }, function(net, x)
        x = net:sigmoid("s", net:conv2d("a", x, { out = 4, kernel = 3, padding = 1 }))
        x = net:relu("r", net:conv2d("b", x, { out = 3, kernel = 3, padding = padding, bias = bias }))
        return net:linear("head", net:flatten("flat", x), { out = 2 })
      end)
    end
    local inside = masked(make(0, false), { a = { 2, 3 } }) -- each gives sigmoid(0) = 0.5 everywhere
    local small = compact(inside)
    same_logits(inside, small, "without padding")
    assert.equal("2x7x7", shape_of(small, "a"))
    assert.is_true(small.graph:node("b").attrs.bias)
    local border = masked(make(1, true), { a = { 2, 3 } })
    small = compact(border)
    same_logits(border, small, "with padding")
    assert.equal("4x7x7", shape_of(small, "a"))
  end)

  it("turns a layer with nothing left into its constant", function()
    local model = build({ 2, 6, 6 }, function(net, x)
      local one = net:sigmoid("s", net:conv2d("a", x, { out = 3, kernel = 3, padding = 1 }))
      one = net:conv2d("b", one, { out = 3, kernel = 3, padding = 1 })
      local two = net:conv2d("c", x, { out = 3, kernel = 1 })
      return net:linear("head", net:flatten("flat", net:add("sum", { one, two })), { out = 2 })
    end)
    local pruned = masked(model, { a = range(1, 3) })
    local small = compact(pruned)
    same_logits(pruned, small, "constant branch")
    assert.equal("parameter", small.graph:node("b").op)
    assert.is_false(has_node(small, "a"))
  end)

  it("narrows heads each by its own, and lets dead ones go", function()
    local model = build({ 3, 8, 8 }, function(net, x)
      x = net:tokens("tokens", net:conv2d("patches", x, { out = 12, kernel = 4, stride = 4 }))
      x = net:add("sum", { x, net:self_attention("attention", net:layer_norm("norm", x), { heads = 3 }) })
      return net:linear("head", net:select("first", x, { index = 1 }), { out = 3 })
    end)
    local pruned = masked(model, { ["attention.q"] = { 1, 9 }, ["attention.k"] = { 2, 9 },
      ["attention.v"] = { 5, 6, 7, 8, 9 }, attention = { 3 } })
    local small = compact(pruned)
    same_logits(pruned, small, "heads")
    local scores, context = small.graph:node("attention.scores"), small.graph:node("attention.context")
    assert.same({ 2, 3 }, scores.attrs.widths) -- head 2 is gone with its values
    assert.near(0.5, scores.attrs.scale, 1e-12) -- of the four features that a head had
    assert.same({ 4, 3 }, context.attrs.widths)
    assert.same({ 5 + 5 + 7, 12 }, small.graph:parameter("attention.in_proj_weight"):shape())
    assert.same({ 11, 7 }, small.graph:parameter("attention.out_proj.weight"):shape())
    assert.equal("index_add", small.graph:node("sum").op)
    -- scores that are zero leave the mean of the values
    pruned = masked(model, { ["attention.q"] = range(1, 12) })
    small = compact(pruned)
    same_logits(pruned, small, "no queries")
    assert.equal("softmax", small.graph:node("attention.probabilities").op) -- not a number per pair of tokens
    assert.is_true(parameters(small) < parameters(model))
    -- nothing is left of the block
    pruned = masked(model, { ["attention.v"] = range(1, 12), attention = range(1, 12) })
    small = compact(pruned)
    same_logits(pruned, small, "no block")
    assert.is_false(has_node(small, "attention.q"))
  end)

  it("leaves an attention of more heads than widths can be given for as it is", function()
    local model = build({ 3, 4, 4 }, function(net, x)
      x = net:tokens("tokens", net:conv2d("patches", x, { out = 130, kernel = 2, stride = 2 }))
      x = net:self_attention("attention", net:layer_norm("norm", x), { heads = 65 })
      return net:linear("head", net:select("first", x, { index = 1 }), { out = 3 })
    end)
    local pruned = masked(model, { ["attention.q"] = range(1, 70), ["attention.v"] = range(5, 80), attention = { 4 } })
    local small = compact(pruned)
    same_logits(pruned, small, "65 heads")
    assert.equal("4x130", shape_of(small, "attention.v"))
    assert.equal("4x129", shape_of(small, "attention"))
  end)

  it("keeps groups of a convolution whole", function()
    local model = build({ 4, 6, 6 }, function(net, x)
      x = net:relu("r1", net:conv2d("a", x, { out = 6, kernel = 1 }))
      x = net:relu("r2", net:conv2d("depthwise", x, { out = 6, kernel = 3, padding = 1, groups = 6 }))
      x = net:relu("r3", net:conv2d("pairs", x, { out = 9, kernel = 3, groups = 3 }))
      return net:linear("head", net:flatten("flat", x), { out = 2 })
    end)
    local pruned = masked(model, { a = { 1 }, depthwise = { 5 }, pairs = { 4, 5, 6 } })
    local small = compact(pruned)
    same_logits(pruned, small, "groups")
    assert.equal(2, small.graph:node("pairs").attrs.groups)
    assert.equal(4, small.graph:node("depthwise").attrs.groups)
    -- what groups 1 and 2 give is the same for every image: the head has it in its bias
    pruned = masked(model, { a = { 1, 2 }, pairs = { 4, 5, 6 } })
    small = compact(pruned)
    same_logits(pruned, small, "fixed groups")
    assert.equal(1, small.graph:node("pairs").attrs.groups)
  end)

  it("lets parameters that nodes share be shared where both keep the same, and parts them otherwise", function()
    local function make()
      return build({ 2, 5, 5 }, function(net, x)
        local shared = { weight = { name = "w" }, bias = { name = "b" } }
        local one = net:relu("r1", net:conv2d("one", x, { out = 4, kernel = 3 }, shared))
        local two = net:tanh("r2", net:conv2d("two", x, { out = 4, kernel = 3 }, shared))
        local three = net:conv2d("three", one, { out = 3, kernel = 1 })
        return net:linear("head", net:flatten("flat", net:add("sum", { three, net:conv2d("four", two,
          { out = 3, kernel = 1 }) })), { out = 2 })
      end)
    end
    local pruned = masked(make(), { one = { 2 } }) -- goes from both
    local small = compact(pruned)
    same_logits(pruned, small, "shared")
    assert.same({ 3, 2, 3, 3 }, small.graph:parameter("w"):shape())
    local model = make()
    model.graph:set_parameter("three.weight", model.graph:parameter("three.weight"):clone():fill(0))
    small = compact(model) -- nobody reads `one`
    same_logits(model, small, "one alone")
  end)

  it("shares what it leaves as it is, and leaves the model as it was", function()
    local model = build({ 2, 6, 6 }, function(net, x)
      x = net:relu("r", net:conv2d("a", x, { out = 4, kernel = 3 }))
      x = net:relu("r2", net:conv2d("b", x, { out = 4, kernel = 3 }))
      return net:linear("head", net:flatten("flat", x), { out = 2 })
    end)
    local pruned = masked(model, { b = { 1 } })
    local before = pruned:summary()
    compact(pruned)
    assert.equal(before, pruned:summary())
  end)

  -- A masked unit of the values is 1/2 everywhere behind the sigmoid: so it is in the context if the weights add up to
  -- one.
  it("knows what attention makes of a constant only where its weights add up to one", function()
    for _, normalised in ipairs { true, false } do
      local model = build({ 5, 4 }, function(net, x)
        local q, v = net:linear("q", x, { out = 4 }), net:sigmoid("s", net:linear("v", x, { out = 4 }))
        local weights = net:attention_scores("scores", { q, q }, { heads = 2 })
        if normalised then weights = net:dropout("drop", net:softmax("p", weights)) end
        x = net:attention_context("context", { weights, v })
        return net:linear("head", net:flatten("flat", x), { out = 2 })
      end)
      local pruned = masked(model, { v = { 2 } })
      local small = compact(pruned)
      same_logits(pruned, small, "attention")
      assert.equal(normalised and "5x3" or "5x4", shape_of(small, "context"))
    end
  end)

  it("lets norms that scale by zero go, and refuses a model whose every path is dead", function()
    local model = build({ 2, 6, 6 }, function(net, x)
      x = net:conv2d("a", x, { out = 4, kernel = 3 })
      x = net:relu("r", net:batch_norm2d("norm", x))
      return net:linear("head", net:flatten("flat", x), { out = 2 })
    end)
    zero_rows(model, "norm.weight", { 1, 2 })
    local small = compact(model)
    same_logits(model, small, "norm")
    assert.equal("2x4x4", shape_of(small, "a"))
    local dead = masked(model, { a = range(1, 4) })
    assert.error_matches(function() compact(dead) end,
      "compact: every path from the images to the output is dead: the logits are the same for all images")
    assert.error_matches(function() compact(3) end, "compact: model: expected a Model, got 3")
    fill(model, "head.weight", 0 / 0) -- not-a-number is no zero
    assert.has_no.errors(function() compact(model) end)
  end)
end)
