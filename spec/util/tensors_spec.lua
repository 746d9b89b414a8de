local core = require "secateur.core"
local tensors = require "secateur.util.tensors"

describe("tensors", function()
  it("are told from what is none", function()
    assert.is_true(tensors.is(core.zeros(2)))
    assert.is_true(tensors.is(core.tensor({ 1 }, "int64")))
    for _, other in ipairs { 1, "x", {}, print, io.stdout, core.graph(), false } do
      assert.is_false(tensors.is(other))
    end
    assert.is_false(tensors.is(nil))
  end)

  it("are finite, or not", function()
    assert.is_true(tensors.finite(core.tensor { -1, 0, 3e30 }))
    for _, bad in ipairs { 0 / 0, math.huge, -math.huge } do
      assert.is_false(tensors.finite(core.tensor { 1, bad, -1 }))
    end
  end)
end)
