--- Reads models back from files.
-- @module secateur.models.load
local file = require "secateur.models.model_file"
local model = require "secateur.models.model"
local options = require "secateur.util.options"
local plans = require "secateur.models.pruning_plan"

--- Reads a model that `model:save` wrote: graph and parameters, no code needed.
-- @string path
-- @treturn Model
return function(path)
  options.value("load", "path", path, { type = "string", required = true })
  return (model.guard("load", function()
    local graph, info, tensors, plan = file.read(path)
    local ok, result = pcall(function()
      local loaded = model.new(graph, info):load_state(tensors)
      file.check_info(info, loaded.classes)
      if plan then
        local fitting, problem = plans.fit(loaded:layers(), plan)
        if not fitting then error("plan: " .. problem, 0) end
        loaded.plan = fitting
      end
      return loaded
    end)
    if not ok then
      local message = options.bare(result):gsub("^load_state: ", "")
      error(("'%s': %s"):format(path, message), 0)
    end
    return result
  end))
end
