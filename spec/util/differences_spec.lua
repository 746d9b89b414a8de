local differences = require "secateur.util.differences"

describe("differences", function()
  it("are the fields that differ, by dotted names, sorted", function()
    local old = { b = 1, a = { x = { 1, 2 }, y = "same" }, gone = true }
    local new = { b = 2, a = { x = { 1, 3 }, y = "same", z = "new" } }
    assert.same({ { name = "a.x", old = "[1,2]", new = "[1,3]" }, { name = "a.z", old = "nothing", new = '"new"' },
      { name = "b", old = "1", new = "2" }, { name = "gone", old = "true", new = "nothing" } },
      differences(old, new, 80))
    assert.same({}, differences(new, new, 80))
  end)

  it("show no more of a value than asked for", function()
    local found = differences({ text = ("x"):rep(100) }, { text = "y" }, 20)
    assert.equal(20, #found[1].old)
    assert.matches('^"x+%.%.%.$', found[1].old)
  end)
end)
