-- doc.lua FOLDER: the documentation as web pages, from the doc comments that sc.help reads: a start page with a tour
-- and a search over all names, a page per subject, and a page per room of internal modules.
local catalogue = require "secateur.help.catalogue"
local comments = require "secateur.help.comments"
local index = require "secateur.help.index"
local markup = dofile ".ci/doc/markup.lua"
local operations = require "secateur.help.operations"
local source = dofile ".ci/source.lua"
local text = require "secateur.help.text"

local folder = assert(arg[1], "usage: doc.lua FOLDER")
local found = index.build(function(module)
  local stem = "lua/secateur" .. (module == "" and "" or "/" .. module:gsub("%.", "/"))
  for _, path in ipairs { stem .. ".lua", stem .. "/init.lua" } do
    if source.exists(".", path) then return source.read(".", path) end
  end
end)

local style = [[<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
pre{background:#f5f5f5;padding:.7em;overflow:auto}h3{border-top:1px solid #ddd;padding-top:1em;font-family:monospace}
.p{margin:.6em 0}dt{font-family:monospace}nav a{margin-right:.8em}input{width:100%;font-size:1.1em;padding:.3em}
</style>]]

local function slug(title) return title:lower():gsub("%W+", "-") .. ".html" end

local function address(item) return slug(item.subject) .. "#" .. item.name end

local function link(name)
  local item = found.by_name[(name:gsub("^sc%.", ""):gsub("%(.*$", ""))]
  return item and address(item)
end

local function write(name, title, body)
  local links = { '<a href="index.html">Start</a>' }
  for _, subject in ipairs(catalogue) do
    links[#links + 1] = ('<a href="%s">%s</a>'):format(slug(subject.title), subject.title)
  end
  links[#links + 1] = '<a href="internal.html">Internal modules</a>'
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write("<!DOCTYPE html>\n<meta charset=utf-8><title>", title, " - Secateur</title>", style, "<nav>",
    table.concat(links, "\n"), "</nav>\n<h1>", title, "</h1>\n", body)
  file:close()
end

local function parameters(title, list)
  if #list == 0 then return "" end
  local pieces = { "<h4>" .. title .. "</h4><dl>" }
  for _, one in ipairs(list) do
    local notes = { one.type ~= "" and one.type or nil }
    if one.default then notes[#notes + 1] = "default " .. one.default
    elseif one.optional then notes[#notes + 1] = "optional" end
    pieces[#pieces + 1] = ("<dt>%s <small>%s</small></dt><dd>%s</dd>"):format(markup.escape(one.name or ""),
      markup.escape(table.concat(notes, ", ")), markup.text(one.text, link))
  end
  return table.concat(pieces, "\n") .. "</dl>\n"
end

local function details(entry)
  local pieces = { markup.text(entry.text, link), parameters("Fields", entry.fields),
    parameters("Parameters", entry.params), parameters("Returns", entry.returns) }
  for _, one in ipairs(entry.raises) do pieces[#pieces + 1] = "<h4>Raises</h4>" .. markup.text(one, link) end
  for _, one in ipairs(entry.usage) do pieces[#pieces + 1] = "<h4>Example</h4>" .. markup.code(one) end
  for _, one in ipairs(entry.see) do pieces[#pieces + 1] = "<h4>See also</h4>" .. markup.text(one, link) end
  return table.concat(pieces)
end

local function item_page(item)
  local extra = item.topic and item.name == "operations" and markup.code(operations.text()) or ""
  return ('<h3 id="%s">%s</h3>\n'):format(markup.escape(item.name), markup.escape(text.signature(item)))
    .. details(item.entry) .. extra
end

local function names_list(items)
  local pieces = { "<ul>" }
  for _, item in ipairs(items) do
    pieces[#pieces + 1] = ('<li><a href="%s"><code>%s</code></a> %s</li>'):format(address(item),
      markup.escape(item.name), markup.escape((text.summary(item.entry.text):gsub("`", ""))))
  end
  return table.concat(pieces, "\n") .. "</ul>\n"
end

local function write_subjects()
  for _, subject in ipairs(catalogue) do
    local items, pages = {}, {}
    for _, item in ipairs(found.list) do
      if item.subject == subject.title then items[#items + 1], pages[#pages + 1] = item, item_page(item) end
    end
    write(slug(subject.title), subject.title, markup.text(subject.about, link) .. names_list(items)
      .. table.concat(pages))
  end
end

local search = [[<script>document.getElementById("search").oninput=function(){
var words=this.value.toLowerCase().split(" ");
document.querySelectorAll("#names li").forEach(function(li){var text=li.textContent.toLowerCase();
li.hidden=!words.every(function(word){return text.includes(word)})})}</script>]]

local function write_start()
  local all = table.move(found.list, 1, #found.list, 1, {})
  table.sort(all, function(a, b) return a.name:lower() < b.name:lower() end)
  local subjects = { "<h2>Subjects</h2><ul>" }
  for _, subject in ipairs(catalogue) do
    subjects[#subjects + 1] = ('<li><a href="%s">%s</a>: %s</li>'):format(slug(subject.title), subject.title,
      markup.escape(subject.about))
  end
  write("index.html", "Secateur", details(found.by_name.tour.entry) .. table.concat(subjects, "\n")
    .. '</ul>\n<h2>All names</h2><input id=search placeholder="search names and their descriptions">\n<div id=names>'
    .. names_list(all) .. "</div>" .. search)
end

-- For contributors: every module with its functions, room by room.
local function write_internal()
  local rooms, order = {}, {}
  for _, path in ipairs(source.list(".", "lua/secateur", { lua = true })) do
    local room = path:match("^lua/secateur/([%w_]+)/") or "secateur"
    if not rooms[room] then rooms[room], order[#order + 1] = {}, room end
    local pieces = {}
    for i, entry in ipairs(comments.read(source.read(".", path))) do
      local name = (entry.owner and entry.owner .. entry.separator or "") .. entry.name
      pieces[i] = (entry.kind == "module" and "<h2>%s</h2>\n" or "<h3>%s</h3>\n"):format(markup.escape(name))
        .. details(entry)
    end
    table.insert(rooms[room], table.concat(pieces))
  end
  local list = {}
  for i, room in ipairs(order) do
    write("internal-" .. room .. ".html", "Internal: " .. room, table.concat(rooms[room]))
    list[i] = ('<li><a href="internal-%s.html">%s</a></li>'):format(room, room)
  end
  write("internal.html", "Internal modules", "<p>For contributors: what the rooms of lua/secateur hold.</p><ul>"
    .. table.concat(list, "\n") .. "</ul>")
end

assert(os.execute("rm -rf '" .. folder .. "' && mkdir -p '" .. folder .. "'"))
write_subjects()
write_start()
write_internal()
