local differences = require "secateur.util.differences"

describe("differences", function()
  it("are the fields that differ, by dotted names, sorted", function()
    local old = { b = 1, a = { x = { 1, 2 }, y = "same" }, gone = true }
    local new = { b = 2, a = { x = { 1, 3 }, y = "same", z = "new" } }
    assert.same({ { name = "a.x", old = "[1,2]", new = "[1,3]" }, { name = "a.z", old = "nothing", new = '"new"' },
      { name = "b", old = "1", new = "2" }, { name = "gone", old = "true", new = "nothing" } },
      differences.list(old, new, 80))
    assert.same({}, differences.list(new, new, 80))
  end)

  it("show no more of a value than asked for", function()
    local found = differences.list({ text = ("x"):rep(100) }, { text = "y" }, 20)
    assert.equal(20, #found[1].old)
    assert.matches('^"x+%.%.%.$', found[1].old)
  end)

  it("are a text of the first five", function()
    local old, new = {}, {}
    for i = 1, 7 do old["f" .. i], new["f" .. i] = i, 2 * i end
    assert.equal("f1: 1 -> 2; f2: 2 -> 4; f3: 3 -> 6; f4: 4 -> 8; f5: 5 -> 10; and 2 more",
      differences.text(old, new, 80, "%s: %s -> %s"))
    assert.is_nil(differences.text(old, old, 80, "%s: %s -> %s"))
  end)
end)
