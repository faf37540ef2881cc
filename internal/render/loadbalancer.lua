-- Ends the connections of an API server that is dead, where another one lives: by the checks
-- of the backend of last resort, which are patient. One that is down by a check of the other
-- backend may just be late, and gets no new connections: that is all. on-marked-down would cut
-- those that are open, and those that are still being made and would go to another server by
-- themselves. Where all API servers are overloaded, cutting would add to their load.
local well, last_resort = "kube-apiserver", "kube-apiserver-last-resort"

-- dead returns the names of the servers that are.
local function dead(servers)
	local lives, found = false, {}
	for name, server in pairs(servers) do
		local status = server:get_stats().status
		lives = lives or status:find("^UP")
		if status:find("^DOWN") then table.insert(found, name) end
	end
	return lives and found or {}
end

core.register_task(function()
	while true do
		core.msleep(100)
		for _, name in ipairs(dead(core.backends[last_resort].servers)) do
			for _, backend in ipairs({ well, last_resort }) do
				core.backends[backend].servers[name]:shut_sess()
			end
		end
	end
end)
