local core = require "secateur.core"
local joined = require "secateur.attribution.merge_batches"

describe("results of parts", function()
  local function part(first, count)
    local values = {}
    for i = 1, count do values[i] = { first + i - 1, 0 } end
    return { input = core.tensor(values), layers = { a = core.tensor(values) }, gap = table.move({ 10, 20, 30 }, first,
      first + count - 1, 1, {}), nothing = {}, note = "same", positive = { layers = { a = core.tensor(values) } } }
  end

  it("are put together by rows, entries and keys", function()
    local whole = {}
    joined.add(whole, part(1, 2), 1, 3)
    local last = part(3, 1)
    joined.add(whole, last, 3, 3)
    joined.release(last) -- what was added is a copy
    assert.same({ { 1, 0 }, { 2, 0 }, { 3, 0 } }, whole.input:totable())
    assert.same({ { 1, 0 }, { 2, 0 }, { 3, 0 } }, whole.layers.a:totable())
    assert.same({ { 1, 0 }, { 2, 0 }, { 3, 0 } }, whole.positive.layers.a:totable())
    assert.same({ 10, 20, 30 }, whole.gap)
    assert.same({}, whole.nothing)
    assert.equal("same", whole.note)
  end)
end)
