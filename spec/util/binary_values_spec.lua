local binary_values = require "secateur.util.binary_values"
local errors = require "support.errors"

describe("values as bytes", function()
  local function again(value) return binary_values.decode(binary_values.encode(value)) end

  it("come back as they were", function()
    local floats, integers = {}, {}
    for i = 1, 1001 do floats[i], integers[i] = i / 3, i * 7 end
    for _, value in ipairs { 1, 1.0, -0.0, 1 / 3, math.maxinteger, math.mininteger, "", "a\0b\n\255", true, false,
      floats, integers, {}, { 1, 2.5, 3 }, { a = { b = { 1, 2 }, [3] = "x" }, [true] = false }, { { 0.5 }, { 0.25 } },
      { [1] = 1, [3] = 3 }, { 1, 2, n = 2 }, { "a", "b" }, { 1 / 0, -1 / 0 } } do
      local found = again(value)
      assert.same(value, found)
      assert.equal(math.type(value), math.type(found))
    end
    assert.is_nil(again(nil))
    assert.equal("float", math.type(again({ 1.0, 2.0 })[2]))
    assert.equal("integer", math.type(again({ 1, 2 })[2]))
    assert.equal(-1 / 0, 1 / again(-0.0))
    local nan = again { 0 / 0 }[1]
    assert.is_true(nan ~= nan)
  end)

  it("are no functions and no userdata", function()
    assert.equal("expected numbers, strings, booleans and tables of these, got a function",
      errors.raised(function() binary_values.encode { print } end))
  end)
end)
