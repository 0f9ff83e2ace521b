-- Reserved: replaced by the migration of that number when the branches are joined.
SELECT 1;
