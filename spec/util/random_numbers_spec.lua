local random_numbers = require "secateur.util.random_numbers"

describe("random numbers", function()
  it("are decided by the seed", function()
    local function draw(seed)
      local random, list = random_numbers.new(seed), {}
      for i = 1, 5 do list[i] = random:bits() end
      return list
    end
    assert.same(draw(1), draw(1))
    assert.not_same(draw(1), draw(2))
    assert.same({ 313702574736366215, 7774984521324166428 }, { table.unpack(draw(0), 1, 2) })
  end)

  it("are evenly spread over [0, 1)", function()
    local random, sum, square = random_numbers.new(3), 0, 0
    for _ = 1, 20000 do
      local u = random:uniform()
      assert.is_true(u >= 0 and u < 1)
      sum, square = sum + u, square + u * u
    end
    assert.is_true(math.abs(sum / 20000 - 1 / 2) < 0.01)
    assert.is_true(math.abs(square / 20000 - 1 / 3) < 0.01)
  end)

  it("of whole numbers are each as likely", function()
    local random, counts = random_numbers.new(4), { 0, 0, 0, 0, 0, 0, 0 }
    for _ = 1, 7000 do
      local i = random:integer(7)
      counts[i] = counts[i] + 1
    end
    for _, count in ipairs(counts) do assert.is_true(count > 850 and count < 1150) end
    for _ = 1, 100 do
      assert.equal(1, random:integer(1))
      local large = random:integer(math.maxinteger)
      assert.is_true(large >= 1 and large <= math.maxinteger)
    end
  end)

  it("of a normal distribution have mean 0 and variance 1", function()
    local random, sum, square, tail = random_numbers.new(5), 0, 0, 0
    for _ = 1, 20000 do
      local z = random:normal()
      sum, square, tail = sum + z, square + z * z, tail + (math.abs(z) > 1.96 and 1 or 0)
    end
    assert.is_true(math.abs(sum / 20000) < 0.03)
    assert.is_true(math.abs(square / 20000 - 1) < 0.05)
    assert.is_true(math.abs(tail / 20000 - 0.05) < 0.01)
  end)

  it("shuffle a list into a new one, each order as likely", function()
    local random, list, seen = random_numbers.new(6), { "a", "b", "c" }, {}
    for _ = 1, 6000 do
      local order = table.concat(random:shuffle(list))
      seen[order] = (seen[order] or 0) + 1
    end
    assert.same({ "a", "b", "c" }, list)
    for _, order in ipairs { "abc", "acb", "bac", "bca", "cab", "cba" } do
      assert.is_true(seen[order] > 850 and seen[order] < 1150)
    end
    assert.same({}, random:shuffle {})
  end)

  it("say what is wrong", function()
    local random = random_numbers.new(1)
    assert.has_error(function() random:integer(0) end, "random: n: expected a whole number of at least 1, got 0")
    assert.has_error(function() random:shuffle(3) end, "random: list: expected a list, got 3")
    assert.error_matches(function() random.uniform() end, "is there a dot in place of a colon")
    assert.equal("Random numbers of seed 1, 0 drawn", tostring(random_numbers.new(1)))
  end)
end)
