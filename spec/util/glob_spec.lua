local glob = require "secateur.util.glob"

describe("util.glob", function()
  local function matches(pattern, path) return glob.matcher(pattern)(path) end

  it("tests the last component where a pattern has no slash", function()
    for _, case in ipairs {
      { "*_mask.png", "a/b (1)_mask.png", true }, { "*_mask.png", "a/b_mask_1.png", false },
      { "*.png", "a.png/x.jpg", false }, { "a?.png", "x/a1.png", true }, { "a?.png", "x/a12.png", false },
      { "[ab]*.png", "b1.png", true }, { "[!ab]*.png", "b1.png", false }, { "[!ab]*.png", "c1.png", true },
      { "[0-9].png", "7.png", true }, { "a+b(1).png", "a+b(1).png", true }, { "a.png", "abpng", false },
      { "[x.png", "[x.png", true }, { "*", "anything/at all", true }, { "%d", "7", false }, { "*.PNG", "a.png", false },
    } do
      assert.equal(case[3], matches(case[1], case[2]), case[1] .. " of " .. case[2])
    end
  end)

  it("tests the path from any folder on where it has one", function()
    for _, case in ipairs {
      { "masks/*", "COVID/masks/1.png", true }, { "masks/*", "COVID/unmasks/1.png", false },
      { "masks/*", "COVID/masks/a/1.png", false }, { "masks/**", "COVID/masks/a/1.png", true },
      { "COVID/*", "COVID/1.png", true }, { "/COVID/*", "COVID/1.png", true }, { "**/1.png", "a/b/1.png", true },
    } do
      assert.equal(case[3], matches(case[1], case[2]), case[1] .. " of " .. case[2])
    end
  end)
end)
