-- Rooms of csrc/ include one way only, and only csrc/lua knows Lua.

-- Room -> what it may include besides itself: a room, or a single header of one.
local allowed = {
  base = {},
  tensor = { "kernel/reduce.h", "base" },
  kernel = { "base" },
  op = { "kernel", "tensor", "base" },
  graph = { "op", "tensor", "base" },
  attribution = { "graph", "op/op.h", "kernel/reduce.h", "tensor", "base" },
  prune = { "graph", "op/op.h", "kernel", "tensor", "base" },
  train = { "graph", "kernel/logistic.h", "kernel/reduce.h", "kernel/softmax.h", "tensor", "base" },
  image = { "tensor", "base" },
  codec = { "image/codec.h", "image/dicom.h", "base" },
  io = { "tensor", "base" },
  mpi = { "base" },
  lua = { "base", "tensor", "kernel", "op", "graph", "attribution", "prune", "train", "image", "io",
    "mpi/transport.h" },
}

-- Headers of libraries -> the rooms that may include them.
local libraries = {
  { "^lua", { lua = true } },
  { "^lauxlib%.h$", { lua = true } },
  { "^sqlite3%.h$", { lua = true } },
  { "^mpi%.h$", { mpi = true } },
  { "^cblas%.h$", {} }, -- the specs' alone (spec/support/openblas.c)
  { "^zlib%.h$", { io = true, image = true } },
  { "stb_", { image = true } },
  { "^tiff", { codec = true } },
  { "^webp/", { codec = true } },
  { "^dcmtk/", { codec = true } },
  { "^openjpeg", { codec = true } },
}

local function may_include(room, header)
  local other = header:match("^(%w+)/")
  if other == room then return true end
  for _, entry in ipairs(allowed[room]) do
    if entry == other or entry == header then return true end
  end
  return false
end

local function check_line(room, line)
  local header = line:match('^%s*#%s*include%s*"([^"]+)"')
  if header then
    if not allowed[header:match("^(%w+)/") or ""] then
      return ('"%s" is not of the form "room/file.h"'):format(header)
    elseif not may_include(room, header) then
      return ("csrc/%s may not include %s"):format(room, header)
    end
  end
  local library = line:match("^%s*#%s*include%s*<([^>]+)>")
  for _, rule in ipairs(libraries) do
    if library and library:find(rule[1]) and not rule[2][room] then
      return ("csrc/%s may not include <%s>"):format(room, library)
    end
  end
end

return function(root, report, source)
  for _, path in ipairs(source.list(root, "csrc", { c = true, cc = true, h = true, def = true, inc = true })) do
    local room = path:match("^csrc/(%w+)/[^/]+$")
    if not allowed[room] then
      report(path, 1, "is in no room of csrc")
    else
      for number, line in ipairs(source.lines(source.without_c_comments(source.read(root, path)))) do
        local message = check_line(room, line)
        if message then report(path, number, message) end
      end
    end
  end
end
