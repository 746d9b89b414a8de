-- A folder of spec/ has the name of the room whose specs it holds, of csrc or of lua/secateur; a few hold other things.
local others = { bench = true, ci = true, fixtures = true, support = true }

return function(root, report, source)
  local rooms = {}
  for _, path in ipairs(source.list(root, "csrc", { c = true, h = true, def = true })) do
    rooms[path:match "^csrc/([^/]+)/" or ""] = true
  end
  for _, path in ipairs(source.list(root, "lua/secateur", { lua = true })) do
    rooms[path:match "^lua/secateur/([^/]+)/" or ""] = true
  end
  for _, path in ipairs(source.list(root, "spec", { lua = true })) do
    local room = path:match "^spec/([^/]+)/"
    if room and not rooms[room] and not others[room] then
      report(path, 1, ("spec/%s is named after no room of csrc or lua/secateur"):format(room))
    end
  end
end
