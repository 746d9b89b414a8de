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

  -- What RFC 8259's grammar has and has not; T is \, N is a line feed.
  it("takes and refuses what the standard does", function()
    local good = [=[0 | -0 | 0.5 | -12.25e+3 | 1E5 | 1e-07 | 123456789012345678901234567890 | 1e999 | "" |
      "aTu0000b" | "T"" | "T/TTTbTfTnTrTt" | "Tud83dTude00" | "TuFFFFTuffff" | "/" | [] | {} | [ ] | { } |
      [[[]]] | [1,[2,{"a":[]}]] | true | {"":0} | {"a":null} | N[N1N,N2N]N | null | {"a":1,"a":2} | "" |
      [true,false,null] | "é€😀" | {"Tu0061":1}]=]
    local bad = [=[01 | -01 | 00 | - | -a | +1 | .5 | -.5 | 1. | 1.e5 | 1e | 1e+ | 1e5.5 | 0x10 | 1_0 | 1a |
      0e | 1 2 | NaN | Infinity | -Infinity | nan | inf | True | nul | nulls | tru | truefalse | 'a' | a | "a |
      a" | "N" | "Ta" | "Tu12" | "Tu12G4" | "Tu+123" | "Tu 123" | "T | "TU0041" | "Tud800" | "Tudc00" |
      "Tud800Tu0041" | "Tud800Tud800" | "Tudc00Tud800" | [ | ] | [1 | [1, | [1,] | [,1] | [,] | [1,,2] |
      [1;2] | [1 2] | [1}] | { | } | {"a"} | {"a":} | {"a":1,} | {,} | {"a" 1} | {a:1} | {1:1} |
      {"a":1 "b":2} | {"a"::1} | {"a":1,,"b":2} | {"a":1]} | [1]] | {}} | 1, | //1 | 1//2 | /*1*/1 | [1/**/] |
      nullN1 | {'a':1} | {[]:1} | {"a":1}{"b":2} | []0]=]
    local count = 0
    for verdict, list in pairs { [true] = good, [false] = bad } do
      for text in (list .. "|"):gmatch "%s*(.-)%s*|" do
        text = text:gsub("T", "\\"):gsub("N", "\n")
        assert.equal(verdict, (pcall(json.decode, text)), text)
        count = count + 1
      end
    end
    assert.is_true(count > 100)
    for byte = 0, 31 do -- control characters: in strings nowhere, between values four of them
      local char = string.char(byte)
      assert.is_false((pcall(json.decode, '"' .. char .. '"')), byte)
      assert.equal(char:find "[\t\n\r]" ~= nil, (pcall(json.decode, "[" .. char .. "1]")), byte)
    end
    for _, space in ipairs { "\u{a0}", "\u{feff}", "\u{2028}", "\v", "\f" } do
      assert.is_false((pcall(json.decode, space .. "1")))
    end
    assert.equal("\127", json.decode '"\127"')
  end)

  it("says what it read of numbers as they are", function()
    for text, value in pairs { ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["9223372036854775808"] = 2.0 ^ 63, ["1e0"] = 1.0, ["0.1"] = 0.1, ["-0.0"] = -0.0, ["5e-324"] = 5e-324 } do
      local read = json.decode(text)
      assert.equal(math.type(value), math.type(read), text)
      assert.equal(string.pack("n", value), string.pack("n", read), text)
    end
  end)

  it("refuses repeated names, other encodings and deep nesting where asked to", function()
    assert.same({ a = 2 }, json.decode '{"a":1,"a":2}')
    local unique = { unique = true }
    assert.error(function() json.decode('{"a":null,"\\u0061":2}', unique) end,
      'json: duplicate key "a" at byte 11')
    assert.same({ { a = 1 }, { a = 1 } }, json.decode('[{"a":1},{"a":1}]', unique))
    assert.equal("\xe9", json.decode '"\xe9"')
    for _, bytes in ipairs { "\xe9", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82" } do
      assert.error(function() json.decode('"' .. bytes .. '"', { utf8 = true }) end,
        "json: expected UTF-8, got another byte at byte 2")
    end
    assert.same({ { {} } }, json.decode("[[[]]]", { depth = 3 }))
    assert.error(function() json.decode("[[[[]]]]", { depth = 3 }) end, "json: nested too deeply at byte 4")
    local deep = 20000
    local value = json.decode(("["):rep(deep) .. ("]"):rep(deep), { depth = deep })
    for _ = 1, deep do value = value[1] or assert.same({}, value) end
  end)

  it("gives null as what is asked for", function()
    local null = {}
    assert.same({ 1, null, { a = null } }, json.decode('[1,null,{"a":null}]', { null = null }))
    assert.equal(null, json.decode(" null ", { null = null }))
  end)

  it("takes time in proportion to the text", function()
    -- steps of the interpreter, which a machine under load takes no more of
    local function steps(text)
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 100)
      pcall(json.decode, text)
      debug.sethook()
      return count
    end
    for _, make in ipairs {
      function(n) return "[" .. ("1,"):rep(n) .. "1]" end,
      function(n) return '"' .. ("\\n"):rep(n) .. '"' end,
      function(n) return '{"a' .. ("\\n"):rep(n) .. '":1}' end,
      function(n) return "[" .. ('"a\\n",'):rep(n) .. "1]" end,
      function(n) return "[" .. ("[],"):rep(n) end,
    } do
      assert.is_true(steps(make(8000)) < 4.5 * steps(make(2000)))
    end
  end)

  it("says where a text is wrong", function()
    for text, message in pairs {
      [""] = "expected a value at byte 1", ["[1,]"] = "expected a value at byte 4",
      ["[1 2]"] = "expected , or ] at byte 4", ['{"a" 1}'] = "expected : at byte 6",
      ["{1:2}"] = "expected a name at byte 2", ['"abc'] = "unfinished string at byte 5",
      ['"\\x"'] = "unknown escape at byte 2", ['"a\tb"'] = "control character in a string at byte 3",
      ["012"] = "malformed number at byte 1", ["[0.]"] = "malformed number at byte 2",
      ['"\\ud800x"'] = "half of a surrogate pair at byte 2", ["1 2"] = "expected nothing more at byte 3",
      [("["):rep(300)] = "nested too deeply at byte 201",
    } do
      assert.error(function() json.decode(text) end, "json: " .. message)
    end
  end)
end)
