-- Ends the connections of an API server that is dead, where another one is well. Dead is one
-- that has been down for two seconds by the quick checks and fails the patient ones of the
-- backend of last resort: one that is down by a quick check may just be late, and gets no new
-- connections, that is all. on-marked-down would cut those that are open, and those that are
-- still being made and would go to another server by themselves. Where all API servers are
-- overloaded, cutting would add to their load.
local well, last_resort, dead_after = "kube-apiserver", "kube-apiserver-last-resort", 2 -- seconds

-- dead returns the names of the servers that are.
local function dead()
	local lives, found = false, {}
	for name, server in pairs(core.backends[well].servers) do
		local quick = server:get_stats()
		local patient = core.backends[last_resort].servers[name]:get_stats().status -- "UP 1/2" has failed once
		lives = lives or quick.status:find("^UP") and patient == "UP"
		if quick.status:find("^DOWN") and quick.lastchg >= dead_after and patient ~= "UP" then table.insert(found, name) end
	end
	return lives and found or {}
end

core.register_task(function()
	while true do
		core.msleep(100)
		for _, name in ipairs(dead()) do
			for _, backend in ipairs({ well, last_resort }) do
				core.backends[backend].servers[name]:shut_sess()
			end
		end
	end
end)
