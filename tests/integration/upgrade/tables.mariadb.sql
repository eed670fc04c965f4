CREATE TABLE `alerts` (
  `id` varchar(64) NOT NULL,
  `check_name` varchar(200) NOT NULL,
  `alertmanager` varchar(200) NOT NULL,
  `labels` text NOT NULL,
  `annotations` text NOT NULL,
  `starts_at` double NOT NULL,
  `ends_at` double DEFAULT NULL,
  `changed_at` double NOT NULL,
  `taken_at` double DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `alerts_of_check` (`check_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `cursors` (
  `check_name` varchar(200) NOT NULL,
  `fingerprint` varchar(64) DEFAULT NULL,
  `cursor` longtext DEFAULT NULL,
  `complete_at` double DEFAULT NULL,
  `incremental_at` double DEFAULT NULL,
  `unlisted` text DEFAULT NULL,
  PRIMARY KEY (`check_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `finding_events` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `check_name` varchar(200) NOT NULL,
  `finding_id` varchar(32) NOT NULL,
  `at` double NOT NULL,
  `change` varchar(32) NOT NULL,
  `author` varchar(100) DEFAULT NULL,
  `detail` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `events_of_finding` (`finding_id`,`id`),
  KEY `events_of_check` (`check_name`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `findings` (
  `id` varchar(32) NOT NULL,
  `check_name` varchar(200) NOT NULL,
  `state` varchar(12) NOT NULL,
  `key` text NOT NULL,
  `message` text NOT NULL,
  `evidence` text NOT NULL,
  `first_seen` double NOT NULL,
  `last_seen` double NOT NULL,
  `times_seen` int(11) NOT NULL,
  `magnitude` text DEFAULT NULL,
  `confirmed_at` double DEFAULT NULL,
  `resolved_at` double DEFAULT NULL,
  `ack_author` varchar(100) DEFAULT NULL,
  `ack_reason` text DEFAULT NULL,
  `acked_at` double DEFAULT NULL,
  `ack_until` double DEFAULT NULL,
  `acked_magnitude` text DEFAULT NULL,
  `aspects` text DEFAULT NULL,
  `acked_aspects` text DEFAULT NULL,
  `decided_at` double DEFAULT NULL,
  `untold` varchar(32) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `findings_of_check` (`check_name`,`state`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `leases` (
  `name` varchar(50) NOT NULL,
  `holder` varchar(200) NOT NULL,
  `token` bigint(20) NOT NULL,
  `since` double NOT NULL,
  `until` double NOT NULL,
  `seconds` double NOT NULL,
  `place` varchar(200) NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `runs` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `check_name` varchar(200) NOT NULL,
  `outcome` varchar(10) NOT NULL,
  `scope` varchar(12) NOT NULL,
  `started_at` double NOT NULL,
  `seconds` double NOT NULL,
  `examined` int(11) DEFAULT NULL,
  `violations` int(11) DEFAULT NULL,
  `error` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `runs_of_check` (`check_name`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `schema_version` (
  `version` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`version`)
) ENGINE=InnoDB AUTO_INCREMENT=6 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `secrets` (
  `name` varchar(50) NOT NULL,
  `value` varchar(200) NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
