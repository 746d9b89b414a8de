local fonts = require "secateur.report.fonts"
local text = require "secateur.report.text_width"

describe("text", function()
  it("knows wide letters from narrow ones", function()
    assert.is_true(text.width("WWWW", 7) > text.width("aaaa", 7))
    assert.is_true(text.width("aaaa", 7) > text.width("iiii", 7))
    assert.is_true(text.width("日本", 7) > text.width("ab", 7))
    assert.near(2 * text.width("abc", 7), text.width("abc", 14), 1e-9)
    assert.near(text.width("é", 7), text.width("e\u{301}", 7), 1e-9)
    assert.equal(0, text.width("", 7))
  end)

  it("measures text as it will be drawn", function()
    assert.equal("a\\xFFb\\x1B\\u{202E}\n", text.whole("a\xFFb\27\u{202E}\n"))
    assert.near(text.width("\\xFF", 7), text.width("\xFF", 7), 1e-9)
  end)

  it("shortens in the middle, to what fits", function()
    assert.equal("short.png", text.elide("short.png", 100, 7))
    for _, name in ipairs { "a_very_long_name_of_a_file_0001.png", "日本語の長い名前のファイルです.png", ("i"):rep(99),
      "\255\254 broken bytes, and many of them" } do
      for most = 20, 80, 15 do
        local short = text.elide(name, most, 7)
        assert.is_true(text.width(short, 7) <= most)
        assert.truthy(short:find("…", 1, true))
        assert.truthy(utf8.len(short))
      end
    end
    local short = text.elide("a_very_long_name_of_a_file_0001.png", 60, 7)
    assert.truthy(short:find("^a_v") and short:find("%.png$"))
    assert.equal("…", text.elide("wide", 1, 7))
  end)

  it("breaks between words", function()
    assert.same({ "Integrated", "Gradients" }, text.wrap("Integrated  Gradients", 50, 7))
    assert.same({ "Integrated Gradients" }, text.wrap(" Integrated Gradients\n", 200, 7))
    assert.same({}, text.wrap("", 50, 7))
    assert.same({ "DL-Backtrace" }, text.wrap("DL-Backtrace", 80, 7))
    assert.same({ "DL-", "Backtrace" }, text.wrap("DL-Backtrace", 45, 7))
    assert.same({ "SmoothGrad" }, text.wrap("SmoothGrad", 80, 7))
    assert.same({ "Smooth", "Grad" }, text.wrap("SmoothGrad", 35, 7))
    assert.same({ "patient_", "0001_", "view_2.png" }, text.wrap("patient_0001_view_2.png", 45, 7))
    for _, line in ipairs(text.wrap("one twothreefourfivesixseveneightnine ten", 40, 7)) do
      assert.is_true(text.width(line, 7) <= 40)
    end
  end)
end)

describe("fonts", function()
  it("keeps letters that fonts have, and marks others", function()
    assert.equal("LRP ε⁺ − × ü…", fonts.drawable("LRP ε⁺ − × ü…"))
    assert.equal("a?b", fonts.drawable("a\u{10FFFD}b")) -- private use, at the very end
  end)

  it("asks at most once, however many letters a text has", function()
    local real, asked, letters = io.popen, 0, {}
    for code = 0x100, 0x2000 do letters[#letters + 1] = utf8.char(code) end
    io.popen = function(...) -- luacheck: ignore 122
      asked = asked + 1
      return real(...)
    end
    local ok, drawn = pcall(fonts.drawable, table.concat(letters))
    io.popen = real -- luacheck: ignore 122
    assert(ok, drawn)
    assert.is_true(asked <= 1)
    assert.equal(#letters, utf8.len(drawn))
  end)
end)
