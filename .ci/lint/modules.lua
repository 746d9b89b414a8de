-- Every file below lua/secateur names itself, on one line: -- @module secateur.room.file, as require spells it.
local function name_of(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

return function(root, report, source)
  for _, path in ipairs(source.list(root, "lua/secateur", { lua = true })) do
    local name, found = name_of(path), 0
    for number, line in ipairs(source.lines(source.read(root, path))) do
      local given = line:match "^%s*%-%-+%s*@module%s+(%S+)%s*$"
      if given then
        found = found + 1
        if given ~= name then report(path, number, ("@module %s: expected %s"):format(given, name)) end
        if found > 1 then report(path, number, "has a second @module line") end
      end
    end
    if found == 0 then report(path, 1, "has no line -- @module " .. name) end
  end
end
