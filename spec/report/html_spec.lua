local html = require "secateur.report.html"

describe("html", function()
  it("escapes what could end an element or an attribute", function()
    assert.equal("&lt;a href=&quot;x&quot;&gt; &amp;amp; it&#39;s ünï 😀\n",
      html.escape("<a href=\"x\"> &amp; it's ünï 😀\n"))
    assert.equal("a\u{FFFD}b\u{FFFD}\u{FFFD}c\u{FFFD}", html.escape("a\0b\255\xC3c\27"))
    assert.equal("3", html.escape(3))
    assert.equal("a\u{FFFD}b\u{FFFD}\t", html.escape("a\u{202E}b\u{9B}\t"))
  end)

  it("knows base 64 (RFC 4648, section 10)", function()
    for plain, coded in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy", ["\0\255\254"] = "AP/+" } do
      assert.equal(coded, html.base64(plain))
    end
  end)

  it("takes figures in without clashes", function()
    local svg = '<?xml version="1.0"?>\n<svg viewBox="0 0 1 1"><title>t</title><desc>d</desc>'
      .. "<path id='gpPt0'/><use xlink:href='#gpPt0' fill=\"url(#grad)\"/></svg>"
    assert.equal("<svg role=\"img\" aria-label=\"100 % &lt;b&gt;\" viewBox=\"0 0 1 1\"><path id='f1-gpPt0'/>"
      .. "<use xlink:href='#f1-gpPt0' fill=\"url(#f1-grad)\"/></svg>", html.svg(svg, "f1", "100 % <b>"))
  end)
end)
