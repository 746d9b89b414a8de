local core = require "secateur.core"

-- Attention with heads of different widths, as compaction leaves them.
local function uneven_attention(net, x)
  local q, k = net:linear("u.q", x, { out = 7 }), net:linear("u.k", x, { out = 7 })
  local scores = net:attention_scores("u.scores", { q, k }, { heads = 2, widths = { 3, 4 }, scale = 1 / 3 })
  return net:attention_context("u.context", { net:softmax("u.p", scores), net:linear("u.v", x, { out = 6 }) },
    { widths = { 5, 1 } })
end

--- A network with every operation, odd numbers everywhere, and parameters that are shared or used by rows: what
-- `secateur.models.custom` takes as `build`, for an input [3 x 17 x 14]; 7 classes.
-- @tparam Builder net
-- @string x
-- @treturn string
return function(net, x)
  local conv = { out = 6, kernel = { 3, 2 }, stride = { 1, 2 }, padding = { 2, 1 }, dilation = { 2, 1 } }
  local b = net:silu("b", net:conv2d("b.conv", x, conv))
  conv.groups, conv.bias = 3, false
  local a = net:batch_norm2d("a.norm", net:conv2d("a", x, conv), { eps = 1 / 3, momentum = 1 / 7 })
  local c = net:add("three", { net:relu("r", a), net:sigmoid("s", a), b })
  c = net:index_add("placed", { c, net:parameter("pair", {}, { shape = { 2, 17, 8 } }) }, { units = 6 })
  net.graph:set_parameter("placed.index", core.tensor({ 5, 2 }, "int64"))
  c = net:concat("both", { c, net:tanh("t", c), net:parameter("extra", {}, { shape = net:shape(c) }) })
  c = net:max_pool2d("max", c, { kernel = 3, stride = 2, padding = 1 })
  c = net:avg_pool2d("mean", c, { kernel = { 2, 3 }, stride = 1, padding = 1, count_include_pad = false })
  c = net:avg_pool2d("mean2", c, { kernel = 3, stride = 1, padding = 1 })
  c = net:adaptive_avg_pool2d("uneven", c, { output = { 3, 5 } })
  c = net:dropout("drop", net:gelu("g", c, { approximation = "tanh" }), { p = 1 / 3 })
  local tokens = net:tokens("tokens", c)
  tokens = net:layer_norm("norm", net:concat("more", { net:parameter("p", {}, { shape = { 1, 18 } }), tokens }),
    { eps = 1e-5 })
  tokens = net:self_attention("attention", tokens, { heads = 3 })
  tokens = net:linear("u", uneven_attention(net, tokens), { out = 18 })
  local place = net:layer_norm("q.norm", net:parameter("q", {}, { shape = { 16, 18 } }))
  tokens = net:gelu("g2", net:linear("mlp", net:add("position", { tokens, place }), { out = 8, bias = false }))
  local shared = { weight = { name = "table", first = 2, total = 12 }, bias = { name = "shift" } }
  local one = net:linear("one", net:select("third", tokens, { index = 3 }), { out = 7 }, shared)
  local two = net:linear("two", net:select("fourth", tokens, { index = 4 }), { out = 7 }, shared)
  local all = net:linear("all", net:flatten("flat", tokens), { out = 7, bias = false })
  net:relu("aside", all) -- behind it stands the output, which does without
  return net:dropout("last", net:softmax("out", net:add("sum", { one, two, all })), { p = 0.1 })
end
