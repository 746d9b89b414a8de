--- The sentence that printed results end with where images were left out.
-- @module secateur.util.skipped_note

--- Says how many images were left out.
-- @tparam ?int count
-- @treturn ?string nil where there are none
return function(count)
  if not count or count == 0 then return nil end
  return count == 1 and "1 image was left out: it could not be read"
    or ("%d images were left out: they could not be read"):format(count)
end
