-- Rooms of lua/secateur require one way only, and never in a circle.

-- Room -> rooms it may require besides itself. "core" is the native module in all its variants, with the file that
-- chooses among them; "init" is lua/secateur/init.lua, the only file that stands in no room.
local below = { "core", "util" }
local allowed = {
  core = { "cpu", "util" },
  util = { "core" },
  help = below,
  data = below,
  formats = below,
  mpi = below,
  models = { "formats", table.unpack(below) },
  pretrained = { "models", "formats", table.unpack(below) },
  attribution = { "models", table.unpack(below) },
  evaluation = { "mpi", "models", "data", table.unpack(below) },
  report = { "results", "util" },
  results = { "sqlite", "util" },
  explanations = { "attribution", "evaluation", "report", "mpi", "models", "data", table.unpack(below) },
  pruning = { "attribution", "evaluation", "mpi", "models", "data", table.unpack(below) },
  training = { "report", "evaluation", "mpi", "models", "data", "formats", table.unpack(below) },
  experiments = { "cpu", "explanations", "pruning", "training", "results", "attribution", "evaluation", "mpi", "models",
    "data", table.unpack(below) },
  init = { "cpu", "help", "experiments", "explanations", "pruning", "training", "report", "results", "attribution",
    "evaluation", "pretrained", "mpi", "models", "formats", "data", table.unpack(below) },
}

-- Modules of others; whatever is added here must be in .ci/packages and in the rockspec.
local libraries = { lfs = true }

-- Native modules beside the core.
local native = { cpu = true, sqlite = true }

local function room_of(path)
  if path == "lua/secateur/init.lua" then return "init" end
  if path == "lua/secateur/core/init.lua" then return "core" end
  return path:match("^lua/secateur/(%w+)/") or "top"
end

-- The file that a module's name stands for, or nil.
local function file_of(root, source, name)
  local stem = "lua/" .. name:gsub("%.", "/")
  for _, path in ipairs { stem .. ".lua", stem .. "/init.lua" } do
    if source.exists(root, path) then return path end
  end
end

local function check_name(room, name, file)
  local own = name:match("^secateur%.?(.*)$")
  if not own then
    if not libraries[name] then return ("'%s' is not among the libraries that Secateur needs"):format(name) end
    return
  end
  local other = own == "" and "init" or native[own] and own or own:match "^core%f[_\0]" or file and room_of(file)
  if not other then return ("no module '%s'"):format(name) end
  if other == room and room ~= "init" then return end
  for _, entry in ipairs(allowed[room]) do
    if entry == other then return end
  end
  return ("lua/secateur/%s may not require %s"):format(room, name)
end

-- All requires of a text: name (nil where it is computed) and line.
local function requires(source, text)
  local found = {}
  for number, line in ipairs(source.lines(source.without_lua_comments(text))) do
    for rest in line:gmatch("%f[%w_.:]require%f[^%w_](.*)") do
      local _, name, after = rest:match("^%s*[%(,]?%s*([\"'])([%w_.]+)%1%s*(.*)$")
      if name and after:sub(1, 2) == ".." then name = nil end
      if name or rest:match("^%s*[%(,\"'%a_]") then found[#found + 1] = { name = name, line = number } end
    end
  end
  return found
end

-- Reports each circle once, at the require that closes it.
local function check_circles(edges, report)
  local state = {}
  local function visit(path)
    state[path] = "open"
    for _, edge in ipairs(edges[path] or {}) do
      if state[edge.to] == "open" then
        report(path, edge.line, "requires in a circle, through " .. edge.to)
      elseif not state[edge.to] then
        visit(edge.to)
      end
    end
    state[path] = "done"
  end
  local paths = {}
  for path in pairs(edges) do paths[#paths + 1] = path end
  table.sort(paths)
  for _, path in ipairs(paths) do
    if not state[path] then visit(path) end
  end
end

return function(root, report, source)
  local edges = {}
  for _, path in ipairs(source.list(root, "lua", { lua = true })) do
    local room = room_of(path)
    if not allowed[room] then
      report(path, 1, "is in no room of lua/secateur")
    else
      edges[path] = {}
      for _, one in ipairs(requires(source, source.read(root, path))) do
        local file = one.name and file_of(root, source, one.name)
        if file and room ~= "init" then table.insert(edges[path], { to = file, line = one.line }) end
        if one.name then
          local message = check_name(room, one.name, file)
          if message then report(path, one.line, message) end
        elseif room ~= "init" then
          report(path, one.line, "requires a computed name, which nothing can check")
        end
      end
    end
  end
  check_circles(edges, report)
end
