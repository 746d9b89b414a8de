local columns = require "secateur.util.text_table"

describe("columns", function()
  it("line up, characters counted, the first ones at their left", function()
    local lines = { { "method", "↓", "x" }, { "lrp", "0.1", "" }, { "ünï", "10.25", "y" } }
    assert.equal("method      ↓  x\nlrp       0.1\nünï     10.25  y", columns.format(lines))
    assert.equal("method  ↓      x\nlrp     0.1\nünï     10.25  y", columns.format(lines, 2))
  end)

  it("show what a terminal would obey", function()
    assert.equal("class     n\na\\x1B[1m  3\nb\\n       4", columns.format { { "class", "n" }, { "a\27[1m", "3" },
      { "b\n", "4" } })
  end)

  it("show a mean with its interval, as precise as it is large", function()
    assert.equal("0.123 [-0.500, 12.0]", columns.interval { mean = 0.12345, low = -0.5, high = 12.04 })
    assert.equal("1.23e+04 [0.000, 1e+09]", columns.interval { mean = 12345, low = -0.0001, high = 1e9 })
    assert.equal("–", columns.interval(nil))
  end)
end)
