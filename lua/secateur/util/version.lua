--- The version of Secateur, as its rockspec has it.
-- @module secateur.util.version
return "scm-1"
