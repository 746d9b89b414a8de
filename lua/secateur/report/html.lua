--- Pieces of HTML: escaping, and pictures that travel inside the page.
-- @module secateur.report.html
local visible = require "secateur.util.visible"

local html = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Text as it may stand in an element or a quoted attribute. Bytes that are no UTF-8, control characters and overrides
-- of direction become U+FFFD.
-- @param text
-- @treturn string
function html.escape(text)
  return (visible(tostring(text), "\t\n\r", "\u{FFFD}"):gsub("[&<>\"']", entities))
end

--- A section of the page with its heading.
-- @string id
-- @string title
-- @string ... elements
-- @treturn string
function html.section(id, title, ...)
  return ('<section id="%s">\n<h2>%s</h2>\n%s</section>\n'):format(id, html.escape(title), table.concat { ... })
end

--- An element that scrolls by itself where it is wider than the page.
-- @string element
-- @treturn string
function html.wide(element)
  return '<div class="wide" tabindex="0">' .. element .. "</div>\n"
end

local alphabet = {}
for i = 0, 63 do
  alphabet[i] = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):sub(i + 1, i + 1)
end

--- Bytes in base 64.
-- @string bytes
-- @treturn string
function html.base64(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local word = a << 16 | (b or 0) << 8 | (c or 0)
    out[#out + 1] = alphabet[word >> 18] .. alphabet[word >> 12 & 63] .. (b and alphabet[word >> 6 & 63] or "=")
      .. (c and alphabet[word & 63] or "=")
  end
  return table.concat(out)
end

--- An `img` element that holds its PNG.
-- @string png the file's bytes
-- @string alternative what to read out in its place
-- @treturn string
function html.image(png, alternative)
  return ('<img alt="%s" src="data:image/png;base64,%s">'):format(html.escape(alternative), html.base64(png))
end

--- A gnuplot SVG as an inline element: no XML header, no tooltips of inner names, ids unlike those of other figures on
-- the page.
-- @string svg the file's text
-- @string id a word
-- @string alternative what to read out in its place
-- @treturn string
function html.svg(svg, id, alternative)
  svg = svg:gsub("^.-<svg", "<svg", 1):gsub("<title>[^<]*</title>", ""):gsub("<desc>[^<]*</desc>", "")
  svg = svg:gsub("(%sid=)(['\"])", "%1%2" .. id .. "-"):gsub("(xlink:href=['\"])#", "%1#" .. id .. "-")
    :gsub("url%(#", "url(#" .. id .. "-")
  return (svg:gsub("<svg", ('<svg role="img" aria-label="%s"'):format(html.escape(alternative):gsub("%%", "%%%%")), 1))
end

return html
