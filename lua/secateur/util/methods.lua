--- Methods that say what is wrong where they are called with a dot in place of the colon.
-- @module secateur.util.methods
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local visible = require "secateur.util.visible"

local methods = {}

-- Whether a value can be the object that a method is called on: of the class, or something that has the method, as
-- objects of one's own have that look things up in one of ours.
local function fits(class, name, value)
  if getmetatable(value) == class then return true end
  return type(value) == "table" and type(value[name]) == "function"
end

local function refuse(class, name, got, variable)
  errors.refuse(name, "self: expected a %s, got %s; is there a dot in place of a colon? %s:%s(...)", class.__name,
    options.describe(got), variable, name)
end

--- Has all methods of a class check what they are called on, and its text show what a terminal would obey. To be
-- called when all are there.
-- @tab class with `__name`; its methods, metamethods apart, are replaced
-- @tab[opt=class] list where the methods stand
-- @string[opt] variable what messages call such an object; the class's name in small letters
-- @treturn table class
function methods.guard(class, list, variable)
  local to_text = rawget(class, "__tostring")
  if to_text then class.__tostring = function(self) return visible(to_text(self), "\n") end end
  list, variable = list or class, variable or class.__name:lower()
  for name, method in pairs(list) do
    if type(method) == "function" and name ~= "new" and not name:find "^__" then
      list[name] = function(self, ...)
        if not fits(class, name, self) then refuse(class, name, self, variable) end
        return method(self, ...)
      end
    end
  end
  return class
end

--- Has a table of functions ask which one was meant where a name is nearly one of its own, as sc.models.ResNet50. Other
-- names are nil, as in every table.
-- @string called what messages call the table
-- @tab list the functions, by name
-- @treturn table list
function methods.suggest(called, list)
  return setmetatable(list, { __index = function(_, name)
    local names = {}
    for key in pairs(list) do names[#names + 1] = key end
    table.sort(names)
    local hint = options.suggest(name, names)
    if hint ~= "" then errors.refuse(called, "no such function '%s'%s", name, hint) end
  end })
end

return methods
