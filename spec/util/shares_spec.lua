local shares = require "secateur.util.shares"

-- Whole numbers alone, so that there is nothing to round.
local function check(numerator, denominator, share, count)
  local product = numerator * count
  local floor, ceil = product // denominator, -(-product // denominator)
  if shares.floor(share, count) ~= floor or shares.ceil(share, count) ~= ceil then
    error(("%d / %d of %d: expected %d and %d, got %d and %d"):format(numerator, denominator, count, floor, ceil,
      shares.floor(share, count), shares.ceil(share, count)))
  end
end

describe("a share of a number", function()
  it("is that of the decimal, for all of two and three digits", function()
    for count = 0, 500 do
      for _, denominator in ipairs { 100, 1000 } do
        for k = 0, denominator do
          check(k, denominator, tonumber(("%.3f"):format(k / denominator)), count) -- as it is written
        end
      end
    end
  end)

  it("is that of the fraction", function()
    for count = 0, 500, 7 do
      for denominator = 1, 97 do
        for k = 0, denominator do check(k, denominator, k / denominator, count) end
      end
    end
  end)

  it("is that of the decimal where steps have been added up, or taken from one", function()
    for count = 1, 500 do
      local sum = 0
      for k = 0, 99 do
        check(k, 100, sum, count)
        check(100 - k, 100, 1 - k / 100, count)
        sum = sum + 0.01
      end
    end
  end)

  it("does not take what is less for the whole", function()
    assert.equal(28, shares.floor(0.2899999, 100))
    assert.equal(29, shares.ceil(0.2899999, 100))
    assert.equal(30, shares.ceil(0.2900001, 100))
    assert.equal(99999, shares.floor(0.999999999, 100000))
  end)

  it("is a whole number", function()
    assert.equal("integer", math.type(shares.floor(0.5, 10)))
    assert.equal("integer", math.type(shares.ceil(0.55, 10)))
  end)
end)
