local foreign = require "support.foreign"
local position = require "secateur.pretrained.position_embedding"

describe("a position embedding", function()
  for _, sizes in ipairs { { 4, 6 }, { 6, 4 }, { 7, 3 }, { 5, 5 }, { 2, 9 }, { 14, 1 } } do
    local old, new = sizes[1], sizes[2]
    it(("goes from %d x %d to %d x %d patches as timm's does"):format(old, old, new, new), function()
      local stem = ("position/%d_%d/"):format(old, new)
      local given = foreign.tensor(stem .. "given")
      local before = given:totable()
      local got = position.resize(given, old, new)
      assert.is_true(foreign.error(got, foreign.tensor(stem .. "resized")) < 1e-6)
      assert.same(given:reshape(1 + old * old, 3):view(1):totable(), got:reshape(1 + new * new, 3):view(1):totable())
      assert.same(before, given:totable())
    end)
  end
end)
