--- Checksums computed by a process of its own, in an environment of its own.
local child = require "support.child"

local bits_child = {}

local END = "all checksums computed"

--- What the process runs: prints threads, batch, network, quantity and checksum, line by line.
-- @tparam {table,...} configs each `{ threads =, batch = }`
function bits_child.main(configs)
  local measures = require "support.bits_measures"
  for _, config in ipairs(configs) do
    measures.run(config, function(...)
      print(table.concat({ "bits", config.threads, config.batch, ... }, "\t"))
    end)
  end
  print(END)
end

--- Starts a process and reads what it finds.
-- @string environment settings before its command, such as "SECATEUR_CPU=avx2"
-- @tparam {table,...} configs
-- @treturn {table,...} each `threads`, `batch`, `net`, `quantity`, `checksum`
-- @raise with all that the process wrote when it does not reach its end, or fails there (as sanitizers let it)
function bits_child.run(environment, configs)
  local list = {}
  for i, config in ipairs(configs) do
    list[i] = ("{ threads = %d, batch = %d }"):format(config.threads, config.batch)
  end
  local script = ("require('support.bits_child').main { %s }"):format(table.concat(list, ", "))
  local output, found = child.run(script, ("(export %s; %%s); echo status $?"):format(environment)), {}
  if not output:find(END, 1, true) or not output:find "status 0\n$" then error("it failed: " .. output, 0) end
  for threads, batch, net, quantity, checksum in output:gmatch "bits\t(%d+)\t(%d+)\t([^\t\n]+)\t([^\t\n]+)\t(%x+)" do
    found[#found + 1] = { threads = threads, batch = batch, net = net, quantity = quantity, checksum = checksum }
  end
  return found
end

return bits_child
