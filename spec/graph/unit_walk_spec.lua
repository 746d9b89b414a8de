local core = require "secateur.core"
local errors = require "support.errors"

-- A graph from lines of {op, name, inputs, attrs} behind an input x.
local function build(shape, lines)
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = shape })
  for _, line in ipairs(lines) do graph:add(table.unpack(line)) end
  return graph
end

local function conv(name, input, out) return { "conv2d", name, { input }, { out = out, kernel = 3, padding = 1 } } end

-- "node<from first/stride xcount+step axis", with a star where others share the places.
local function texts(graph, producer)
  local list = {}
  for i, place in ipairs(graph:unit_walk(producer)) do
    list[i] = ("%s<%s %d/%d x%d+%d %s%s"):format(place.node, place.from, place.first, place.stride, place.count,
      place.step, place.axis, place.shared and " *" or "")
  end
  return list
end

describe("graph:unit_walk", function()
  it("follows channels through what keeps them, up to the next node that makes units", function()
    local graph = build({ 2, 4, 4 }, { conv("a", "x", 3), { "batch_norm2d", "n", { "a" } }, { "relu", "r", { "n" } },
      { "max_pool2d", "p", { "r" }, { kernel = 2 } }, conv("b", "p", 2), { "relu", "s", { "b" } } })
    assert.same({ "n<a 1/1 x1+1 first", "r<n 1/1 x1+1 first", "p<r 1/1 x1+1 first" }, texts(graph, "a"))
    assert.same({ "s<b 1/1 x1+1 first" }, texts(graph, "b"))
  end)

  it("knows where concat and flatten put them", function()
    local graph = build({ 2, 4, 4 }, { conv("a", "x", 3), conv("b", "x", 5), { "concat", "c", { "b", "a", "b" } },
      { "flatten", "f", { "c" } }, { "linear", "l", { "f" }, { out = 2 } }, { "concat", "d", { "l", "f" } } })
    assert.same({ "c<a 6/1 x1+1 first", "f<c 81/16 x16+1 first", "d<f 83/16 x16+1 first" }, texts(graph, "a"))
    assert.same({ "c<b 1/1 x1+1 first", "c<b 9/1 x1+1 first", "f<c 1/16 x16+1 first", "f<c 129/16 x16+1 first",
      "d<f 3/16 x16+1 first", "d<f 131/16 x16+1 first" }, texts(graph, "b"))
  end)

  it("tells which places other nodes share", function()
    local graph = build({ 2, 4, 4 }, { conv("a", "x", 3), conv("b", "x", 3), { "relu", "r", { "a" } },
      { "add", "own", { "r", "a" } }, { "add", "sum", { "own", "b" } }, { "relu", "s", { "sum" } } })
    assert.same({ "r<a 1/1 x1+1 first", "own<r 1/1 x1+1 first", "sum<own 1/1 x1+1 first *",
      "s<sum 1/1 x1+1 first *" }, texts(graph, "a"))
  end)

  it("follows features of tokens along the last dimension", function()
    local graph = build({ 2, 2, 2 }, { conv("a", "x", 3), { "tokens", "t", { "a" } },
      { "parameter", "class", {}, { shape = { 1, 3 } } }, { "concat", "c", { "class", "t" } },
      { "select", "s", { "c" }, { index = 1 } }, { "linear", "l", { "t" }, { out = 6 } }, { "gelu", "g", { "l" } },
      { "flatten", "f", { "g" } }, { "layer_norm", "n", { "l" } } })
    assert.same({ "t<a 1/1 x1+1 last", "c<t 1/1 x1+1 last *", "s<c 1/1 x1+1 first *" }, texts(graph, "a"))
    assert.same({ "g<l 1/1 x1+1 last", "f<g 1/1 x4+6 first" }, texts(graph, "l"))
  end)

  it("says what is wrong", function()
    local graph = build({ 2, 4, 4 }, { conv("a", "x", 3), { "relu", "r", { "a" } } })
    assert.equal("unit_walk: node: expected one that produces units, got relu 'r'",
      errors.text(graph.unit_walk, graph, "r"))
    assert.equal("unit_walk: node: expected one of the graph, got 'z'", errors.text(graph.unit_walk, graph, "z"))
  end)
end)
