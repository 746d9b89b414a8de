local attribute = require "secateur.attribution.attribute"
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"
local importance = require "secateur.pruning.importance"
local rules = require "secateur.attribution.rules"
local sc = require "secateur"

local model = families.all().vgg -- features.0, features.3, classifier.0, classifier.3
local x = families.batch(model, 2)
local split = { batch = function(_, indices) return x:take(1, indices), core.tensor({ 1, 2 }, "int64") end }

local function rest(entries)
  for _, entry in ipairs { { match = "activation", rule = rules.pass() }, { match = "max_pool", rule = rules.own() },
    { match = "routing", rule = rules.gradient() }, { match = "any", rule = rules.epsilon() } } do
    entries[#entries + 1] = entry
  end
  return entries
end

-- Names of the nodes whose rule is the first entry's, in order.
local function matched(entry, graph)
  entry.rule = rules.zplus()
  local nodes, names = (graph or model.graph):nodes(), {}
  local resolved = composites.resolve("spec", rest { entry }, nodes)
  for _, node in ipairs(nodes) do
    if resolved[node.name] == entry.rule then names[#names + 1] = node.name end
  end
  return names
end

describe("an entry of a composite", function()
  it("matches by depth among the nodes with weights, from either end, and by ranges of it", function()
    local all = { "features.0", "features.3", "classifier.0", "classifier.3" }
    for depth, name in ipairs(all) do
      assert.same({ name }, matched { depth = depth })
      assert.same({ name }, matched { depth = depth - 5 })
    end
    assert.same({ all[2], all[3] }, matched { depth = { 2, 3 } })
    assert.same({ all[2], all[3], all[4] }, matched { depth = { 2, -1 } })
    assert.same({ all[1], all[2] }, matched { depth = { -9, -3 } })
    assert.same({ all[4] }, matched { depth = { -1, 4 } })
    assert.same({}, matched { depth = 5 })
    assert.same({}, matched { depth = { 3, -3 } })
  end)

  it("holds where match and depth both do", function()
    assert.same({ "features.3" }, matched { match = "conv", depth = { 2, 3 } })
    assert.same({ "classifier.0" }, matched { match = "^classifier", depth = { 1, 3 } })
    assert.same({ "features.3" }, matched { match = function(node) return node.depth > 1 end, depth = { 1, 2 } })
    assert.same({}, matched { match = "relu", depth = 1 }) -- has no weights, and no depth
    assert.same({ "features.1", "features.4", "classifier.1" }, matched { match = "relu" })
  end)

  it("changes what is attributed by exactly its rule", function()
    local by_depth = attribute(model, x, { composite = rest { { depth = 1, rule = rules.flat() },
      { depth = { -2, -1 }, rule = rules.gamma(0.5) }, { match = "any", depth = 2, rule = rules.zplus() } } })
    local by_name = attribute(model, x, { composite = rest { { match = "^features%.0$", rule = rules.flat() },
      { match = "conv", rule = rules.zplus() }, { match = "linear", rule = rules.gamma(0.5) } } })
    assert.same(by_name.input:totable(), by_depth.input:totable())
  end)

  it("is refused with its number and its field where it is wrong, at the caller's line", function()
    local function refused(entry)
      local list = { { match = "any", rule = rules.zplus() }, entry }
      local opts = { method = "lrp", composite = list, indices = { 1, 2 } }
      local through = errors.here(function() importance(model, split, opts) end)
      local text = errors.here(function() attribute(model, x, { composite = list }) end)
      assert.equal(text:gsub("^attribute", "importance"), through)
      return text:match "^attribute: composite: entry 2: (.*)$" or text
    end
    local whole = "expected { match = kind, pattern or function, rule = table }"
    assert.equal(whole, refused { rule = rules.zplus() })
    assert.equal(whole, refused { match = true, rule = rules.zplus() })
    assert.equal(whole, refused { match = "any" })
    assert.equal(whole, refused(7))
    local pass = rules.pass()
    assert.equal("unknown field 'rules', expected one of: match, depth, rule",
      refused { match = "any", rule = pass, rules = pass })
    assert.equal("unknown field 1, expected one of: match, depth, rule",
      refused { "conv", match = "any", rule = pass })
    local place = "depth: expected a whole number but 0, or { first, last } in this order, got "
    assert.equal(place .. "0", refused { depth = 0, rule = pass })
    assert.equal(place .. "1.5", refused { depth = 1.5, rule = pass })
    assert.equal(place .. "'first'", refused { depth = "first", rule = pass })
    assert.equal(place .. "{ 3, 2 }", refused { depth = { 3, 2 }, rule = pass })
    assert.equal(place .. "{ -1, -2 }", refused { depth = { -1, -2 }, rule = pass })
    assert.equal(place .. "{ 1, 'x' }", refused { depth = { 1, "x" }, rule = pass })
    assert.equal(place .. "a table", refused { depth = { 1, 2, 3 }, rule = pass })

    local function rule(fault) return (refused { match = "any", rule = fault }:gsub("^rule: ", "")) end
    local function group(fault) return rule { groups = { { terms = { {} } }, fault } } end
    local function term(fault) return group { terms = { fault } } end
    assert.equal("kind: expected one of 'linear', 'gated', 'contrastive', 'gradient', 'pass', 'own', 'block', "
      .. "got 'lrp'", rule { kind = "lrp" })
    assert.equal("unknown field 'eps', expected one of: kind, groups, mode, epsilon, name", rule { eps = 1 })
    assert.equal("mode: expected one of 'default', 'ties', 'detach_weights', 'pass', got 'all'",
      rule { kind = "own", mode = "all" })
    assert.equal("mode: expected one of 'default', 'package', got 'ties'", rule { kind = "gated", mode = "ties" })
    assert.equal("mode: expected one of 'default', got 'hold'", rule { kind = "pass", mode = "hold" })
    assert.equal("mode: 'hold' is called 'detach_weights' now", rule { kind = "own", mode = "hold" })
    assert.equal("groups: expected none for a rule of kind 'pass', got a table", rule { kind = "pass", groups = {} })
    assert.equal("groups: expected a list of 1 to 4 groups, got nil", rule {})
    assert.equal("groups: expected a list of 1 to 4 groups, got a table", rule { groups = { {}, {}, {}, {}, {} } })
    assert.equal("groups: unknown field 'terms', expected a list", rule { groups = { {}, terms = {} } })
    assert.equal("groups[2]: expected a table, got 'x'", group "x")
    assert.equal("groups[2]: unknown field 'term', expected one of: coefficient, gate, epsilon, terms",
      group { term = {} })
    assert.equal("groups[2].epsilon: expected a finite number of at least 0, got -1", group { epsilon = -1 })
    assert.equal("groups[2].coefficient: expected a finite number, got inf", group { coefficient = math.huge })
    assert.equal("groups[2].gate: expected one of 'all', 'positive', 'negative', got 'odd'", group { gate = "odd" })
    assert.equal("groups[2].terms: expected a list of 1 to 4 terms, got nil", group {})
    assert.equal("groups[2].terms[1]: unknown field 'inputs', expected one of: input, weight, bias",
      term { inputs = {} })
    assert.equal("groups[2].terms[1].weight: expected a table, got 3", term { weight = 3 })
    assert.equal("groups[2].terms[1].weight: unknown field 'cube', expected one of: plain, positive, negative, square, "
      .. "constant, constants", term { weight = { cube = 1 } })
    assert.matches("^groups%[2%]%.terms%[1%]%.bias%.plain: expected a finite number, got %-?nan$",
      term { bias = { plain = 0 / 0 } })
  end)

  it("and the list around it has no other fields", function()
    local function refused(list) return errors.here(function() attribute(model, x, { composite = list }) end) end
    assert.equal("attribute: composite: expected a list of entries, got a field 'conv'",
      refused { conv = rules.zplus() })
    assert.equal("attribute: composite: expected a list of entries, got a field 3",
      refused { { match = "any", rule = rules.pass() }, [3] = { match = "any", rule = rules.pass() } })
    assert.equal("attribute: composite: fold: expected a boolean, got 1", refused { fold = 1 })
  end)

  it("and errors of its functions name the node, and the function's line", function()
    local function refused(fault)
      local list = { { match = function() error(fault) end, rule = rules.zplus() } }
      return errors.here(function() attribute(model, x, { composite = list }) end)
    end
    assert.matches("^attribute: composite: match, asked of conv2d 'features%.0': .*composites_spec%.lua:%d+: odd$",
      refused "odd")
    assert.equal("attribute: composite: match, asked of conv2d 'features.0': raised a table", refused {})
  end)

  it("with a rule that cannot stand at its node is refused with the node's name, at the caller's line", function()
    local vit = families.all().vit
    local function refused(what, list)
      list[#list + 1] = { match = "routing", rule = rules.gradient() }
      list[#list + 1] = { match = "max_pool", rule = rules.own() }
      list[#list + 1] = { match = "any", rule = rules.pass() }
      local images = families.batch(what, 2)
      local through = errors.here(function() importance(what, { batch = function() return images, core.tensor({ 1, 2 },
        "int64") end }, { method = "lrp", composite = list, indices = { 1, 2 } }) end)
      local text = errors.here(function() attribute(what, images, { composite = list }) end)
      assert.equal((text:gsub("^attribute", "importance")), through)
      return text
    end
    local function transformer(first)
      return refused(vit, { first, { match = "conv", rule = rules.zplus() }, { match = "linear", rule = rules.zplus() },
        { match = "add", rule = rules.epsilon() }, { match = "attention", rule = rules.own() } })
    end
    assert.matches("^attribute: softmax '%S+': rule: expected a rule for a nonlinear operation, got one for "
      .. "linear maps$",
      transformer { match = "softmax", rule = rules.zplus() })
    assert.matches("^attribute: attention_scores '%S+': rule: expected a rule that shares relevance among inputs, got "
      .. "pass$", transformer { match = "attention_scores", rule = rules.pass() })
    assert.equal("attribute: conv2d 'features.0': rule: expected a rule that applies here, got one for operations with "
      .. "a rule of their own", refused(model, { { match = "conv", rule = rules.own() } }))
    assert.equal("attribute: linear 'classifier.0': rule: expected a rule that shares relevance among inputs, got pass",
      refused(model, { { match = "conv", rule = rules.zplus() }, { match = "avg_pool", rule = rules.epsilon() } }))
    assert.equal("attribute: max_pool2d 'features.2': rule: expected a rule for an operation without weights, got one "
      .. "that gates weights", refused(model, { { match = "conv", rule = rules.zplus() },
        { match = "max_pool", rule = rules.dlb() } }))
    for old, new in pairs { pool = "max_pool", average = "avg_pool" } do
      assert.equal(("attribute: composite: entry 1: match: kind '%s' is called '%s' now"):format(old, new),
        refused(model, { { match = old, rule = rules.own() } }))
    end
  end)
end)

describe("a composite", function()
  it("sees batch norms as nodes of their own if it does not want them folded", function()
    local with_norms = families.all().vgg_bn
    local images = families.batch(with_norms, 2)
    local list = rest { { match = "conv", rule = rules.zplus() }, { match = "linear", rule = rules.epsilon() } }
    local folded = attribute(with_norms, images, { composite = list, layers = "all" })
    list.fold = false
    table.insert(list, 1, { match = "batch_norm2d", rule = rules.pass() })
    local whole = attribute(with_norms, images, { composite = list, layers = "all" })
    assert.is_false(folded.input:allclose(whole.input, 1e-3, 1e-6))
    assert.same(whole.layers["features.1"]:totable(), whole.layers["features.0"]:totable())
    local plain = attribute(model, x, { composite = rest {} })
    assert.same(plain.input:totable(), attribute(model, x, { composite = rest { fold = false } }).input:totable())
  end)

  it("named dlb has the linear rule where a transformer has weights, and products' and norms' own", function()
    local nodes = families.all().vit.graph:nodes()
    for name, expected in pairs {
      dlb = { conv2d = "gated", linear = "gated", add = "linear", gelu = "pass", layer_norm = "own", softmax = "own",
        attention_scores = "own", attention_context = "own" },
      dlb_compat = { conv2d = "gated", linear = "gated", add = "linear", gelu = "pass", layer_norm = "pass" },
      dlb_contrastive = { conv2d = "contrastive", linear = "contrastive", add = "contrastive", layer_norm = "own",
        softmax = "own", attention_scores = "own" },
    } do
      local resolved, seen = composites.resolve("spec", composites.get("spec", name), nodes), {}
      for _, node in ipairs(nodes) do
        if expected[node.op] then
          assert.equal(expected[node.op], resolved[node.name].kind, name .. " " .. node.name)
          seen[node.op] = true
        end
      end
      for op in pairs(expected) do assert.is_true(seen[op], op) end
    end
  end)
end)

describe("a rule", function()
  -- All seven, as a user would write them.
  local plain, above, below = { plain = 1 }, { positive = 1 }, { negative = 1 }
  local up, down = { plain = 1, positive = 0.25 }, { plain = 1, negative = 0.25 }
  local positive = { { input = above, weight = above, bias = above }, { input = below, weight = below } }
  local negative = { { input = above, weight = below, bias = below }, { input = below, weight = above } }
  local as_data = {
    epsilon = { {}, { { epsilon = 1e-6, terms = { { input = plain, weight = plain, bias = plain } } } } },
    zplus = { {}, { { terms = positive } } },
    alphabeta = { { 2, 1 }, { { coefficient = 2, terms = positive }, { coefficient = -1, terms = negative } } },
    gamma = { { 0.25 }, {
      { gate = "positive", terms = { { input = above, weight = up, bias = up }, { input = below, weight = down } } },
      { gate = "negative", terms = { { input = above, weight = down, bias = down },
        { input = below, weight = up } } } } },
    flat = { {}, { { terms = { { input = { constant = 1 }, weight = { constant = 1 } } } } } },
    wsquare = { {}, { { terms = { { input = { constant = 1 }, weight = { square = 1 }, bias = { square = 1 } } } } } },
    zbox = { { -1, 2 }, { { terms = { { input = plain, weight = plain },
      { input = { constant = -1 }, weight = { positive = -1 } },
      { input = { constant = 2 }, weight = { negative = -1 } } } } } },
  }

  local function explain(rule)
    return attribute(model, x, { composite = rest { { match = "conv", rule = rule }, { match = "linear",
      rule = rules.epsilon() } } }).input
  end

  for name, data in pairs(as_data) do
    it(name .. " is data that a user can write", function()
      local made = rules[name](table.unpack(data[1]))
      assert.same(explain(made):totable(), explain({ groups = data[2] }):totable())
    end)
  end

  it("of one's own is a few lines: LRP-|z|, and the box rule whose lower bound is 0", function()
    local size = rules.magnitude
    local by_size = explain { groups = { { epsilon = 0, terms = { { input = size, weight = size, bias = size } } } } }
    assert.same(explain(rules.magnitudes()):totable(), by_size:totable())
    local zero_box = explain { groups = { { terms = { { input = rules.plain, weight = rules.plain },
      { input = { constant = 3 }, weight = { negative = -1 } } } } } }
    assert.is_true(zero_box:allclose(explain(rules.zbox(0, 3)), 1e-4, 1e-6))
  end)

  it("keeps its modifiers to itself", function()
    local before = explain(rules.zplus()):totable()
    local changed = rules.gamma(1)
    changed.groups[1].terms[1].input.positive = 7
    changed.groups[1].terms[1].weight.plain = 7
    changed.groups[2].terms[1].bias.plain = 7
    rules.plain.plain = 7
    rules.none.constant = 7
    assert.equal(rules.plain.plain, 1)
    assert.same({}, rules.none)
    local again = rules.gamma(1)
    assert.same({ { positive = 1 }, { plain = 1, positive = 1 }, { plain = 1, negative = 1 } }, {
      again.groups[1].terms[1].input, again.groups[1].terms[1].weight, again.groups[2].terms[1].bias })
    assert.are_not.equal(again.groups[1].terms[1].weight, again.groups[1].terms[1].bias)
    assert.same(before, explain(rules.zplus()):totable())
  end)

  it("is made from numbers that make sense, or not at all, at the caller's line", function()
    local function refused(f) return errors.here(f) end
    assert.equal("rules.gamma: gamma: expected a number in [0, inf), got 'x'", refused(function() rules.gamma("x") end))
    assert.equal("rules.gamma: gamma: missing", refused(function() rules.gamma() end))
    assert.equal("rules.gamma: gamma: expected a number in [0, inf), got -0.5",
      refused(function() rules.gamma(-0.5) end))
    assert.equal("rules.gamma: gamma: expected a number in [0, inf), got inf",
      refused(function() rules.gamma(math.huge) end))
    assert.matches("^rules.epsilon: epsilon: expected a number in %[0, inf%), got %-?nan$",
      refused(function() rules.epsilon(0 / 0) end))
    assert.equal("rules.epsilon: epsilon: expected a number in [0, inf), got -1",
      refused(function() rules.epsilon(-1) end))
    assert.equal("rules.alphabeta: beta: missing", refused(function() rules.alphabeta(2) end))
    assert.equal("rules.alphabeta: alpha: expected a number in [0, inf), got -2",
      refused(function() rules.alphabeta(-2, 1) end))
    assert.equal("rules.zbox: low: expected a number in (-inf, inf), got a table",
      refused(function() rules.zbox {} end))
    assert.equal("rules.zbox: high: expected at least low (1), got 0", refused(function() rules.zbox(1, 0) end))
    assert.equal("rules.zbox: low: expected a number in (-inf, inf), got { 0 }",
      refused(function() rules.zbox({ 0 }, 1) end))
    assert.equal("rules.zbox: high: expected 2 numbers, as many as low has, got 1",
      refused(function() rules.zbox({ 0, 0 }, { 1 }) end))
    assert.equal("rules.zbox: high[2]: expected at least low (2), got 1",
      refused(function() rules.zbox({ 0, 2 }, { 1, 1 }) end))
    assert.equal("rules.zbox: low: expected 1 to 16 numbers, one per channel, got 0",
      refused(function() rules.zbox({}, { 1 }) end))
    assert.equal("rules.own: mode: expected one of 'default', 'ties', 'detach_weights', 'pass', got 'all'",
      refused(function() rules.own("all") end))
    assert.equal("rules.own: mode: 'hold' is called 'detach_weights' now", refused(function() rules.own("hold") end))
    assert.equal("rules.dlb: mode: expected one of 'default', 'package', got 1", refused(function() rules.dlb(1) end))
    assert.is_nil(rules.lrp)
  end)

  it("is at hand as secateur.rules", function() assert.equal(rules, sc.rules) end)
end)
