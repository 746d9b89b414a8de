--- Who is told of the error by which a script ends, before it is written: where several processes run the same script,
-- the others have to know, and one text is enough for all.
-- @module secateur.util.at_failure
local at_failure = {}

local listener

--- From now on a function is told, in place of the one before.
-- @func f text → whether the text has been written already, by another process
function at_failure.listen(f) listener = f end

--- Tells of a text.
-- @string text
-- @treturn boolean whether it has been written already
function at_failure.tell(text) return listener ~= nil and listener(text) end

return at_failure
