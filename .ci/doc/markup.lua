--- Text of doc comments as HTML: paragraphs, lists that start with "* ", code indented by four blanks, `code`.
local markup = {}

--- Text with what HTML would take for markup escaped.
function markup.escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- link(name) gives the address of a public name, or nil.
local function inline(text, link)
  return (markup.escape(text):gsub("`([^`\n]+)`", function(code)
    local address = link(code)
    return address and ('<a href="%s"><code>%s</code></a>'):format(address, code) or "<code>" .. code .. "</code>"
  end))
end

--- A block of code.
function markup.code(text) return "<pre>" .. markup.escape(text) .. "</pre>\n" end

local function paragraph(lines, link)
  if lines[1]:match("^    ") then return markup.code(table.concat(lines, "\n"):gsub("^    ", ""):gsub("\n    ", "\n"))
  end
  local pieces, listed = {}, false
  for _, line in ipairs(lines) do
    local item = line:match("^%* (.*)$")
    if item then
      pieces[#pieces + 1] = (listed and "</li>" or "<ul>") .. "<li>" .. item
      listed = true
    else
      pieces[#pieces + 1] = line
    end
  end
  local text = table.concat(pieces, "\n")
  local tags = {}
  text = text:gsub("</?[ul][li]>", function(tag)
    tags[#tags + 1] = tag
    return "\1"
  end)
  local count = 0
  text = inline(text, link):gsub("\1", function()
    count = count + 1
    return tags[count]
  end)
  return "<div class=p>" .. text .. (listed and "</li></ul>" or "") .. "</div>\n"
end

--- A description as HTML.
function markup.text(text, link)
  local pieces, lines = {}, {}
  local function finish()
    if #lines > 0 then pieces[#pieces + 1] = paragraph(lines, link) end
    lines = {}
  end
  for line in (text .. "\n\n"):gmatch("(.-)\n") do
    if line:match("^%s*$") then finish() else lines[#lines + 1] = line end
  end
  finish()
  return table.concat(pieces)
end

return markup
