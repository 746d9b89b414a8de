-- An output handler for busted: its own terminal output, and "passed failed skipped" in the file that -Xoutput names,
-- written when the whole suite has ended.
return function(options)
  local busted = require "busted"
  local path = options.arguments[1]
  options.arguments = {}
  local handler = require("busted.outputHandlers.plainTerminal")(options)
  busted.subscribe({ "exit" }, function()
    local file = assert(io.open(path, "w"))
    local failed = handler.failuresCount + handler.errorsCount
    file:write(("%d %d %d\n"):format(handler.successesCount, failed, handler.pendingsCount))
    file:close()
    return nil, true
  end, { priority = 1 })
  return handler
end
