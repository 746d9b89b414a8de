local json = require "secateur.util.json"

describe("json", function()
  it("writes equal values alike", function()
    assert.equal('{"a":[1,0.5,true],"b":{"c":"x"}}', json.encode { b = { c = "x" }, a = { 1, 0.5, true } })
    assert.equal(json.encode { 1.0 }, json.encode { 1 })
    assert.equal("[]", json.encode {})
    assert.equal('"\\u0000\\n\\"\\\\\\u007fü/"', json.encode "\0\n\"\\\127ü/")
  end)

  it("gives every number back exactly", function()
    for _, value in ipairs { 0.1, 1 / 3, 2 ^ 53, math.pi * 1e300, 5e-324, -0.1, math.huge, -math.huge,
      math.maxinteger } do
      assert.equal(value, json.decode(json.encode(value)))
    end
    assert.equal("null", json.encode(0 / 0))
  end)

  it("reads what others write", function()
    assert.same({ a = { 1, -2.5e3, "é😀/" }, b = false }, json.decode(
      ' { "a" : [ 1, -2.5e3 , "\\u00e9\\ud83d\\ude00\\/" ],\n"b":false, "c": null } '))
    assert.is_nil(json.decode "null")
  end)

  it("refuses what it cannot write", function()
    assert.error(function() json.encode(print) end, "json: a function cannot be written")
    assert.error(function() json.encode { 1, a = 2 } end,
      "json: expected names as keys beside a list's 1..n, got 1")
    local loop = {}
    loop.loop = loop
    assert.error(function() json.encode(loop) end, "json: a table that holds itself cannot be written")
  end)

  it("says where a text is wrong", function()
    for text, message in pairs {
      [""] = "expected a value at byte 1", ["[1,]"] = "expected a value at byte 4",
      ["[1 2]"] = "expected , or ] at byte 4", ['{"a" 1}'] = "expected : at byte 6",
      ["{1:2}"] = "expected a name at byte 2", ['"abc'] = "unfinished string at byte 5",
      ['"\\x"'] = "unknown escape at byte 2", ["1 2"] = "expected nothing more at byte 3",
      [("["):rep(300)] = "nested too deeply at byte 201",
    } do
      assert.error(function() json.decode(text) end, "json: " .. message)
    end
  end)
end)
