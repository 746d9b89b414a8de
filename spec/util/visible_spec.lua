local valid_utf8 = require "secateur.util.valid_utf8"
local visible = require "secateur.util.visible"

-- How many instructions of Lua a function takes, in hundreds: work counted without a clock.
local function work(body)
  local count = 0
  debug.sethook(function() count = count + 1 end, "", 100)
  body()
  debug.sethook()
  return count
end

describe("visible", function()
  it("leaves text as it is", function()
    for _, text in ipairs { "", "COVID-19", "Röntgen 日本 😀", "a\\x1Bb", "e\u{301}", "\u{200D}\u{FEFF}\u{A0}" } do
      assert.equal(text, visible(text))
    end
  end)

  it("writes out what a terminal would obey", function()
    assert.equal("\\x1B[31mred\\x1B]0;title\\x07", visible "\27[31mred\27]0;title\7")
    assert.equal("a\\nb\\rc\\td\\x00\\x7F", visible "a\nb\rc\td\0\127")
    assert.equal("\\u{9B}31m \\u{80}\\u{9F}", visible "\u{9B}31m \u{80}\u{9F}")
  end)

  it("writes out what makes a name look like another", function()
    assert.equal("a\\u{202E}gpj.\\u{2066}\\u{2069}\\u{202A}", visible "a\u{202E}gpj.\u{2066}\u{2069}\u{202A}")
    assert.equal("a\\u{2028}b\\u{2029}", visible "a\u{2028}b\u{2029}")
    assert.equal("\u{2027}\u{202F}\u{2065}\u{206A}\u{A1}\u{FFFD}\\u{FFFE}\\u{FFFF}",
      visible "\u{2027}\u{202F}\u{2065}\u{206A}\u{A1}\u{FFFD}\u{FFFE}\u{FFFF}")
  end)

  it("writes out bytes that are not UTF-8, and only these", function()
    assert.equal("ni\\xF1o é\\xC3", visible "ni\xF1o é\xC3")
    assert.equal("\\xC0\\x80\\xED\\xA0\\x80\\xFF", visible "\xC0\x80\xED\xA0\x80\xFF")
  end)

  it("keeps what it is asked to keep, and puts other things in place", function()
    assert.equal("a\nb\\tc\\x1B", visible("a\nb\tc\27", "\n"))
    assert.equal("a?b?c?d?", visible("a\nb\xFFc\u{202E}d\u{9B}", nil, "?"))
  end)

  it("gives text that stays, of all pairs of bytes and of many letters", function()
    for first = 0, 255 do
      for second = 0, 255 do
        local shown = visible(string.char(first, second))
        assert.truthy(utf8.len(shown))
        assert.is_nil(shown:find "%c")
        assert.equal(shown, visible(shown))
      end
    end
    for code = 0x80, 0xD7FF do
      local shown = visible(utf8.char(code))
      assert.is_true(shown == utf8.char(code) or shown == ("\\u{%X}"):format(code))
    end
  end)

  it("takes time in proportion to the length", function()
    for _, bytes in ipairs { "\xFF", "\xC3", "a\xFF", "\27", "\u{202E}", "\xE2\x80" } do
      local once = work(function() visible(bytes:rep(2000)) end)
      assert.is_true(work(function() visible(bytes:rep(8000)) end) <= 4 * once + 8)
    end
  end)
end)

describe("valid UTF-8", function()
  it("replaces bytes that are none", function()
    assert.equal("a?b??c?é", valid_utf8("a\255b\255\xC3c\xE2é", "?"))
    assert.equal("a<255>", valid_utf8("a\255", function(byte) return ("<%d>"):format(byte:byte()) end))
    assert.equal("ü", valid_utf8("ü", "?"))
  end)

  it("looks at each byte once", function()
    local real, looked = utf8.len, 0
    utf8.len = function(text, from) -- luacheck: ignore 122
      local length, bad = real(text, from)
      looked = looked + (bad or #text) - (from or 1) + 1
      return length, bad
    end
    local good, problem = pcall(valid_utf8, ("\xFF"):rep(3000) .. ("é"):rep(3000) .. "\xFF", "?")
    utf8.len = real -- luacheck: ignore 122
    assert(good, problem)
    assert.equal(9001, looked)
  end)
end)
